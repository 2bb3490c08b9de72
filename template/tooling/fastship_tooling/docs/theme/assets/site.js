// On narrow screens, a row of a table is a list (extra.css): its cells get the titles of their columns.
document.querySelectorAll("article table").forEach((table) => {
  const titles = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent);
  if (titles.length < 3) return;
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.cells].forEach((cell, i) => { if (titles[i] && cell.childNodes.length) cell.dataset.label = titles[i]; });
  }
});
