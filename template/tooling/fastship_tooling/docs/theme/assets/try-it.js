// Forms of the API reference that send requests to the running application.
(() => {
  const places = document.querySelectorAll(".try-it");
  const create = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const store = (key, initial) => ({
    get: () => sessionStorage.getItem(key) ?? initial,
    set: (value) => sessionStorage.setItem(key, value),
  });
  const script = new URL(document.currentScript.src);
  const token = store("api-token", "");

  async function apiUrl() {
    const schema = await (await fetch(new URL("../openapi.json", script))).json();
    return schema.servers[0].url;
  }

  function field(label, input) {
    return create("label", {}, create("span", { textContent: label }), input);
  }

  function request(form, { method, path, type, secured }) {
    const values = new FormData(form);
    const headers = {}, query = new URLSearchParams();
    for (const input of form.querySelectorAll("[data-in]")) {
      if (!input.value) continue;
      if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
      if (input.dataset.in === "query") query.append(input.name, input.value);
      if (input.dataset.in === "header") headers[input.name] = input.value;
    }
    if (secured && token.get()) headers.Authorization = `Bearer ${token.get()}`;
    let body = values.get("body");
    if (type) headers["Content-Type"] = type;
    if (type === "application/x-www-form-urlencoded") body = new URLSearchParams(JSON.parse(body));
    const search = query.size ? `?${query}` : "";
    return [`${values.get("url").replace(/\/$/, "")}${path}${search}`, { method, headers, body: type ? body : undefined }];
  }

  async function send(form, details, output) {
    const start = performance.now();
    output.replaceChildren("Sending ...");
    try {
      const response = await fetch(...request(form, details));
      const text = await response.text();
      let shown = text;
      try {
        const content = JSON.parse(text);
        shown = JSON.stringify(content, null, 2);
        if (content.access_token) token.set(content.access_token);
      } catch { /* it is not JSON */ }
      const took = `${response.status} ${response.statusText}, ${Math.round(performance.now() - start)} ms`;
      output.replaceChildren(create("strong", { textContent: took }), create("pre", { tabIndex: 0 }, create("code", { textContent: shown || "(no content)" })));
    } catch (error) {
      output.replaceChildren(error instanceof SyntaxError
        ? `The body is not valid JSON: ${error.message}`
        : `There is no response. Start the API with dev, and allow this page: APP_CORS_ORIGINS=${location.origin}`);
    }
  }

  async function open(place, details) {
    const form = create("form", {}, field("URL of the API", create("input", { name: "url", type: "url", required: true, value: await apiUrl() })));
    if (details.secured) {
      const input = create("input", { value: token.get(), placeholder: "From the endpoint that signs in", autocomplete: "off" });
      input.addEventListener("input", () => token.set(input.value.trim()));
      form.append(field("Access token", input));
    }
    for (const { name, in: location, required } of details.parameters) {
      const input = create("input", { name, required });
      input.dataset.in = location;
      form.append(field(`${name} (${location})`, input));
    }
    if (details.type) form.append(field("Body", create("textarea", { name: "body", rows: 6, spellcheck: false, value: JSON.stringify(details.body, null, 2) })));
    const output = create("output", {});
    form.append(create("button", { className: "button", textContent: `Send ${details.method} request` }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form, details, output);
    });
    place.append(form, output);
  }

  places.forEach((place) => {
    const details = JSON.parse(place.dataset.request);
    const box = create("details", {}, create("summary", { textContent: "Try it" }));
    box.addEventListener("toggle", () => open(box, details), { once: true });
    place.append(box);
  });
})();
