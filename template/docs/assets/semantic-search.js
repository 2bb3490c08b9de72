// Search suggestions by meaning, below the hits of the keyword search. The index is built with the site.
(() => {
  const here = new URL(".", document.currentScript.src);
  const SHOWN = 3, MIN_SCORE = 0.15, TYPICAL_WEIGHT = 3;
  const SUFFIXES = [["s", ""], ["ing", ""], ["ed", ""], ["es", ""], ["ing", "e"], ["ed", "e"]];
  let loading;

  const bytes = (text) => Int8Array.from(atob(text), (c) => (c.charCodeAt(0) << 24) >> 24);

  async function load() {
    const index = await (await fetch(new URL("semantic-search.json", here))).json();
    index.stopWords = new Set(index.stopWords);
    index.rows = new Map(index.words.split(" ").map((word, row) => [word, row]));
    index.vectors = bytes(index.vectors);
    index.places = bytes(index.places);
    return index;
  }

  function rowOf(index, word) {
    const stems = SUFFIXES.filter(([end]) => word.endsWith(end)).map(([end, stem]) => word.slice(0, -end.length) + stem);
    return [word, ...stems].map((form) => index.rows.get(form)).find((row) => row !== undefined);
  }

  function nearest(index, query) {
    const size = index.dimensions, sum = new Float32Array(size);
    let known = 0;
    for (const word of query.toLowerCase().match(/[a-z]{2,}/g) || []) {
      const row = index.stopWords.has(word) ? undefined : rowOf(index, word);
      if (row === undefined) continue;
      known += 1;
      const weight = index.weights[word] || TYPICAL_WEIGHT;
      for (let i = 0; i < size; i++) sum[i] += weight * index.vectors[row * size + i];
    }
    if (!known) return [];
    const length = (at, of) => Math.hypot(...of.subarray(at, at + size)) || 1;
    const own = length(0, sum);
    return index.sections
      .map(([location, title, page], row) => {
        let dot = 0;
        for (let i = 0; i < size; i++) dot += sum[i] * index.places[row * size + i];
        return { location, title, page, score: dot / own / length(row * size, index.places) };
      })
      .filter((section) => section.score > MIN_SCORE)
      .sort((a, b) => b.score - a.score)
      .slice(0, SHOWN);
  }

  function show(found) {
    const output = document.querySelector(".md-search__scrollwrap");
    if (!output) return;
    let box = output.querySelector(".suggestions");
    if (!box) {
      box = document.createElement("div");
      box.className = "suggestions";
      output.append(box);
    }
    box.hidden = !found.length;
    box.replaceChildren();
    const head = document.createElement("div");
    head.className = "suggestions__head";
    head.textContent = "Suggestions";
    box.append(head);
    for (const { location, title, page } of found) {
      const link = document.createElement("a");
      link.href = new URL("../" + location, here);
      link.textContent = page && page !== title ? `${page}: ${title}` : title;
      box.append(link);
    }
  }

  async function suggest(event) {
    const input = event.target;
    if (!input.matches?.("[data-md-component=search-query]")) return;
    loading ??= load();
    const query = input.value;
    const index = await loading;
    if (query === input.value) show(nearest(index, query));
  }

  document.addEventListener("input", suggest);
  document.addEventListener("focusin", suggest);
  window.semanticSearch = { load, nearest }; // for tests
})();
