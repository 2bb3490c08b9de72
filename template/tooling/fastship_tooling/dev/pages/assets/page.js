// Update the parts that change, without losing the focus of the keyboard.
const live = '[id^="live-"]';

async function update() {
  if (document.hidden || !document.querySelector(live)) return;
  const response = await fetch(location.pathname, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const old of document.querySelectorAll(live)) {
    const current = page.getElementById(old.id);
    if (current && current.innerHTML !== old.innerHTML && !old.contains(document.activeElement)) old.replaceWith(current);
  }
}
setInterval(update, 2000);

for (const form of document.querySelectorAll("form[data-endpoint]")) {
  const status = form.querySelector("[role=status]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await fetch(form.dataset.endpoint, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    }).catch(() => null);
    const problem = response && !response.ok ? await response.json() : null;
    const errors = (problem?.errors ?? []).map((error) => error.detail).join(" ");
    status.className = response?.ok ? "good" : "bad";
    if (response?.ok) status.textContent = form.dataset.done;
    else status.textContent = problem ? errors || problem.detail || problem.title : "The API does not answer.";
  });
}
