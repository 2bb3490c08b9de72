// Swagger UI on the page "Try it out", with assets from this site.
(() => {
  const here = new URL(".", document.currentScript.src);
  const place = document.getElementById("live");
  if (!place) return;
  place.hidden = false;
  // Its dark colors belong to a class of the page.
  const follow = () => document.documentElement.classList.toggle("dark-mode", document.body.dataset.mdColorScheme === "slate");
  new MutationObserver(follow).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
  follow();
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("swagger-ui.css", here) });
  const script = Object.assign(document.createElement("script"), { src: new URL("swagger-ui-bundle.js", here) });
  script.onload = () => window.SwaggerUIBundle({
    url: new URL("../openapi.json", here).href,
    dom_id: "#live",
    deepLinking: true,
    persistAuthorization: true,
    tryItOutEnabled: true,
  });
  document.head.append(style, script);
})();
