// Suggestions by meaning, below those of the plain search. The index is made at build, and fetched when somebody searches.
(() => {
  const here = new URL(".", document.currentScript.src);
  const SHOWN = 3, LEAST = 0.15, FILLERS = new Set(("a about all am an and any are as at be been but by can could do does for from get had has have how i if in into is it its just me more most my no not of off on one or our out over should so some such than that the their them then there these they this to up use used using want was we were what when where which who why will with without would you your").split(" "));
  let loading;

  const bytes = (text) => Int8Array.from(atob(text), (c) => (c.charCodeAt(0) << 24) >> 24);

  async function load() {
    const index = await (await fetch(new URL("meaning.json", here))).json();
    index.rows = new Map(index.words.split(" ").map((word, row) => [word, row]));
    index.vectors = bytes(index.vectors);
    index.places = bytes(index.places);
    return index;
  }

  // A word that is not known may be a form of one that is: "testing", "tested".
  function rowOf(index, word) {
    for (const form of [word, word.replace(/s$/, ""), word.replace(/(ing|ed|es)$/, ""), word.replace(/(ing|ed)$/, "e")]) {
      const row = index.rows.get(form);
      if (row !== undefined) return row;
    }
  }

  function nearest(index, question) {
    const size = index.dimensions, sum = new Float32Array(size);
    let known = 0;
    for (const word of question.toLowerCase().match(/[a-z]{2,}/g) || []) {
      const row = FILLERS.has(word) ? undefined : rowOf(index, word);
      if (row === undefined) continue;
      known += 1;
      for (let i = 0; i < size; i++) sum[i] += index.vectors[row * size + i];
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
      .filter((section) => section.score > LEAST)
      .sort((a, b) => b.score - a.score)
      .slice(0, SHOWN);
  }

  function show(found) {
    const output = document.querySelector(".md-search__scrollwrap");
    if (!output) return;
    let box = output.querySelector(".meaning");
    if (!box) {
      box = document.createElement("div");
      box.className = "meaning";
      output.append(box);
    }
    box.hidden = !found.length;
    box.replaceChildren();
    const head = document.createElement("div");
    head.className = "meaning__head";
    head.textContent = "Perhaps you mean";
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
    const question = input.value;
    const index = await loading;
    if (question === input.value) show(nearest(index, question));
  }

  document.addEventListener("input", suggest);
  document.addEventListener("focusin", suggest);
  window.siteMeaning = { load, nearest }; // for tests
})();
