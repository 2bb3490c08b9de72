// Search suggestions by meaning, above the hits of the keyword search. The index is built with the site.
(() => {
  const here = new URL(".", document.currentScript.src);
  const SHOWN = 3, MIN_SCORE = 0.3, TYPICAL_WEIGHT = 3, SYNONYM = 0.5, IN_TEXT = 0.5;
  const ENDING = /(?<=...)(ations?|ments?|ings?|ions?|ed|es|s|e)$/;
  const SUFFIXES = [["s", ""], ["ing", ""], ["ed", ""], ["es", ""], ["ing", "e"], ["ed", "e"]];
  let loading;

  const bytes = (text) => Int8Array.from(atob(text), (c) => (c.charCodeAt(0) << 24) >> 24);

  async function load() {
    const index = await (await fetch(new URL("semantic-search.json", here))).json();
    index.stopWords = new Set(index.stopWords);
    index.rows = new Map(index.words.split(" ").map((word, row) => [word, row]));
    index.numbers = new Map(index.stems.split(" ").map((word, number) => [word, number]));
    index.vectors = bytes(index.vectors);
    index.places = bytes(index.places);
    return index;
  }

  function rowOf(index, word) {
    const stems = SUFFIXES.filter(([end]) => word.endsWith(end)).map(([end, stem]) => word.slice(0, -end.length) + stem);
    return [word, ...stems].map((form) => index.rows.get(form)).find((row) => row !== undefined);
  }

  const stem = (word) => word.replace(ENDING, "");

  // The words of a query with their weights. Synonyms count less.
  function words(index, query) {
    const found = new Map();
    const joined = query.toLowerCase().replace(/\b(log|sign|roll|set) (in|up|out|back)\b/g, "$1$2");
    const said = (joined.match(/[a-z]{2,}|\d{3}/g) || []).filter((word) => !index.stopWords.has(word));
    for (const word of said) for (const other of index.synonyms[word] || []) found.set(other, SYNONYM);
    for (const word of said) found.set(word, 1);
    return found;
  }

  // The share of the words that a section contains, by their rarity. Titles count more.
  function overlap(index, query, row) {
    let sum = 0, most = 0;
    for (const [word, weight] of query) {
      const number = index.numbers.get(stem(word));
      const value = weight * (number === undefined ? TYPICAL_WEIGHT : index.rarity[number]);
      if (weight === 1) most += value;
      if (index.titles[row].includes(number)) sum += value;
      else if (index.texts[row].includes(number)) sum += value * IN_TEXT;
    }
    return sum / (most || 1);
  }

  function nearest(index, text) {
    const size = index.dimensions, sum = new Float32Array(size);
    const query = words(index, text);
    for (const [word, share] of query) {
      const row = rowOf(index, word);
      if (row === undefined) continue;
      const weight = share * (index.weights[word] || TYPICAL_WEIGHT);
      for (let i = 0; i < size; i++) sum[i] += weight * index.vectors[row * size + i];
    }
    const length = (at, of) => Math.hypot(...of.subarray(at, at + size)) || 1;
    const own = length(0, sum);
    const pages = new Set();
    return index.sections
      .map(([location, title, page], row) => {
        let dot = 0;
        for (let i = 0; i < size; i++) dot += sum[i] * index.places[row * size + i];
        const score = dot / own / length(row * size, index.places) + overlap(index, query, row);
        return { location, title, page, score };
      })
      .filter((section) => section.score > MIN_SCORE)
      .sort((a, b) => b.score - a.score)
      .filter(({ location }) => !pages.has(location.split("#")[0]) && pages.add(location.split("#")[0]))
      .slice(0, SHOWN);
  }

  const STYLE = `
    #suggestions { padding: 4px 8px 8px; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
    #suggestions[hidden] { display: none; }
    #suggestions a { display: block; padding: 6px 10px; border-radius: 8px; color: inherit; font-size: 14px; text-decoration: none; }
    #suggestions b { display: block; font-weight: 700; }
    #suggestions span, #suggestions div { font-size: 12px; opacity: 0.8; }
    #suggestions div { padding: 6px 10px 2px; }
    #suggestions a:hover, #suggestions [aria-selected=true] { background: color-mix(in srgb, currentColor 12%, transparent); }
    [id$="-path"], [id$="-path"] li { color: inherit; }
    #suggestions[data-active] ~ ol [aria-selected=true]:not(:hover)::before { background: none; }`;

  // The dialog of the theme is in a shadow root. Roles identify its parts, since its class names change.
  const part = (root, role) => root.querySelector(`[role=${role}]:not(#suggestions)`);

  function boxIn(root) {
    let box = root.getElementById("suggestions");
    const status = part(root, "status");
    if (!box && status) {
      box = Object.assign(document.createElement("div"), { id: "suggestions", hidden: true });
      box.setAttribute("role", "listbox");
      box.setAttribute("aria-label", "Suggestions");
      status.before(box);
      root.append(Object.assign(document.createElement("style"), { textContent: STYLE }));
      // The theme announces its first hit when the hits are found, which may be later.
      new MutationObserver(() => {
        const selected = box.querySelector("[aria-selected=true]");
        if (selected && !box.hidden) announce(root, selected.id);
      }).observe(part(root, "combobox"), { attributeFilter: ["aria-activedescendant"] });
    }
    return box;
  }

  // Select the suggestion at a position; -1 selects none, so that the selected hit of the theme counts.
  function select(root, at) {
    const box = root.getElementById("suggestions");
    const options = [...box.querySelectorAll("a")];
    options.forEach((option, i) => option.setAttribute("aria-selected", i === at));
    box.toggleAttribute("data-active", at >= 0);
    const active = options[at] || root.querySelector("ol [aria-selected=true]");
    if (active) announce(root, active.id);
    active?.scrollIntoView({ block: "nearest" });
  }

  function announce(root, id) {
    const input = part(root, "combobox");
    if (input.getAttribute("aria-activedescendant") !== id) input.setAttribute("aria-activedescendant", id);
  }

  function show(root, found) {
    const box = boxIn(root);
    if (!box) return;
    box.hidden = !found.length;
    const head = Object.assign(document.createElement("div"), { textContent: "Suggestions" });
    const links = found.map(({ location, title, page }, i) => {
      const link = Object.assign(document.createElement("a"), { id: `suggestion-${i}`, href: new URL("../" + location, here), tabIndex: -1 });
      link.setAttribute("role", "option");
      link.append(Object.assign(document.createElement("b"), { textContent: title }));
      if (page !== title) link.append(Object.assign(document.createElement("span"), { textContent: page }));
      return link;
    });
    box.replaceChildren(head, ...links);
    select(root, found.length ? 0 : -1);
  }

  async function suggest(event) {
    const input = event.composedPath()[0];
    const root = input.getRootNode?.();
    if (!(root instanceof ShadowRoot) || input.getAttribute("role") !== "combobox") return;
    loading ??= load();
    const query = input.value;
    const index = await loading;
    if (query === input.value) show(root, nearest(index, query));
  }

  // The arrow keys move from the suggestions to the hits and back, and Enter opens what is selected.
  function move(event) {
    const root = event.composedPath()[0].getRootNode?.();
    const box = root instanceof ShadowRoot && root.getElementById("suggestions");
    if (!box || box.hidden) return;
    const options = [...box.querySelectorAll("a")], hits = [...root.querySelectorAll("ol [role=option]")];
    const at = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
    const hit = hits.findIndex((option) => option.getAttribute("aria-selected") === "true");
    let next;
    if (event.key === "Enter" && at >= 0) options[at].click();
    else if (event.key === "ArrowDown" && at >= 0) next = at + 1 < options.length ? at + 1 : hits.length ? -1 : 0;
    else if (event.key === "ArrowUp" && at > 0) next = at - 1;
    else if (event.key === "ArrowUp" && at < 0 && hit <= 0) next = options.length - 1;
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (next !== undefined) select(root, next);
  }

  window.addEventListener("input", suggest, true);
  window.addEventListener("focusin", suggest, true);
  window.addEventListener("keydown", move, true);
  window.semanticSearch = { load, nearest }; // for tests
})();
