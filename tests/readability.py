"""Checks of a page in a browser: contrast, overflow, broken words and accessibility."""

import time
from importlib.resources import files

from playwright.sync_api import Page

CONTRAST = 4.5  # WCAG 2, AA
SERIOUS = {"serious", "critical"}
# Scripts make code that became too wide focusable, which takes a moment on a busy machine.
SETTLING_TIME = 5.0

CHECKS = """(least) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
  const paper = (element) => {
    if (!element) return [255, 255, 255];
    const color = rgba(getComputedStyle(element).backgroundColor);
    return color[3] === 1 ? color.slice(0, 3) : over(color, paper(element.parentElement));
  };
  const luminance = (channels) => {
    const [r, g, b] = channels.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opacity = (element) => element ? +getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
  const found = [];
  const name = (node) => `${node.parentElement.tagName}.${node.parentElement.className}: ${node.textContent.trim().slice(0, 40)}`;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = texts.nextNode());) {
    const element = node.parentElement;
    if (!node.textContent.trim() || element.closest("script, style, noscript, [disabled], [aria-hidden=true]")) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    if (!range.getClientRects().length) continue;
    const behind = paper(element);
    const color = rgba(getComputedStyle(element).color);
    color[3] *= opacity(element);
    const [a, b] = [luminance(over(color, behind)), luminance(behind)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < least) found.push(`contrast ${contrast.toFixed(2)} ${name(node)}`);
    if (element.closest("td, th") && !element.closest("[role=presentation]")) {
      for (const word of node.textContent.matchAll(/[\\p{L}\\d]+/gu)) {
        range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
        if (new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size > 1) found.push(`broken word ${word[0]}`);
      }
    }
  }
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) {
    const wide = [...document.querySelectorAll("article *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1);
    found.push(`overflow ${width} ${wide.slice(0, 2).map((e) => e.outerHTML.slice(0, 80))}`);
  }
  return [...new Set(found)];
}"""


def problems(page: Page) -> list[str]:
    """Return what is hard to read on the current page.

    Args:
        page: The page, in the size and color scheme to check.
    """
    found: list[str] = page.evaluate(CHECKS, CONTRAST)
    return found


def violations(page: Page) -> list[str]:
    """Return the serious findings of axe-core that are still there when the page's scripts have had their time."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    deadline = time.monotonic() + SETTLING_TIME
    while (found := _axe(page)) and time.monotonic() < deadline:
        page.wait_for_timeout(250)
    return found


def _axe(page: Page) -> list[str]:
    # Swagger UI has its own controls. Their contrast is checked above.
    found = page.evaluate("axe.run({ exclude: ['#live'] }, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {node['html'][:120]}"
        for rule in found["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]
