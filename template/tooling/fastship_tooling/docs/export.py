"""Write all pages of the built site to one file: `python -m fastship_tooling.docs.export site pdf epub`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup

from fastship_tooling.docs import settings
from fastship_tooling.docs.settings import navigation
from fastship_tooling.errors import reported

TARGET = Path("dist")
LIVE = "api/live.md"
# Elements that are interactive.
REMOVED = ".headerlink, .edit, .try-it, .md-content__button, .md-source-file, script, noscript, #live, .md-clipboard, input"
STYLE = """
@page { size: A4; margin: 22mm 18mm; @bottom-center { content: counter(page); font: 8pt sans-serif; color: #777; } }
body { font: 10pt/1.45 "DejaVu Sans", "Liberation Sans", sans-serif; color: #222; }
/* Not before h1: links to the section would lead to the page before. */
section[id] { break-before: page; } h1 { font-size: 20pt; } h2 { font-size: 14pt; } h3 { font-size: 11.5pt; }
h1, h2, h3, h4 { break-after: avoid; line-height: 1.2; }
.cover h1 { break-before: auto; margin-top: 70mm; font-size: 30pt; }
nav { break-before: page; } nav ul { list-style: none; padding-left: 4mm; }
nav a::after { content: leader(".") target-counter(attr(href), page); }
a { color: #3949ab; text-decoration: none; }
pre, code { font-family: "DejaVu Sans Mono", "Liberation Mono", monospace; font-size: 8.5pt; }
pre { background: #f5f5f5; padding: 3mm; white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: 9pt; }
th, td { border-bottom: 0.2mm solid #ccc; padding: 1.2mm 2mm; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { overflow-wrap: normal; }
.tabbed-labels label { font-weight: bold; margin-right: 3mm; font-size: 8.5pt; }
.k, .kn, .kd, .ow, .kc { color: #3949ab; } .s, .s1, .s2, .sa, .si, .sd { color: #1c7d4d; }
.c, .c1, .cm { color: #777; } .mi, .mf { color: #b5472f; } .nf, .nc, .fm { color: #6a1b9a; } .nb, .nv { color: #00695c; }
"""


class Book:
    """The pages of a site as one document with internal links.

    Args:
        site: Folder of the built site.
        title: Title.
        description: Description.
        nav: The key `nav` of mkdocs.yml.
    """

    def __init__(self, site: Path, title: str, description: str, nav: list[object]) -> None:
        self.site = site
        self.title = title
        self.description = description
        self.pages = [entry for entry in navigation(nav) if entry[1] != LIVE]
        self.places = {_url(path): _name(path) for _, path in self.pages}

    def html(self) -> str:
        """Return one HTML document: a cover, a table of contents, and the pages."""
        articles = [self.article(path) for _, path in self.pages]
        entries = "".join(
            f'<li><a href="#{_name(path)}">{article.find("h1").get_text()}</a></li>'
            for (_, path), article in zip(self.pages, articles, strict=True)
        )
        body = "".join(str(article) for article in articles)
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{self.title}</title>'
            f"<style>{STYLE}</style></head><body>"
            f'<section class="cover"><h1>{self.title}</h1><p>{self.description}</p></section>'
            f"<nav><h2>Contents</h2><ul>{entries}</ul></nav>{body}</body></html>"
        )

    def article(self, path: str) -> Any:
        """Return the content of a page, with links and IDs that are unique within the document."""
        url, name = _url(path), _name(path)
        soup = BeautifulSoup((self.site / url / "index.html").read_text("utf-8"), "html.parser")
        article = soup.select_one("article")
        if article is None:
            raise SystemExit(f"{url} has no <article>. Build the site with `docs build`.")
        for unwanted in article.select(REMOVED):
            unwanted.decompose()
        for heading in article.find_all(id=True):
            heading["id"] = f"{name}--{heading['id']}"
        article.name = "section"
        article["id"] = name
        for link in article.find_all("a", href=True):
            link["href"] = self.link(url, str(link["href"]))
        for image in article.find_all("img", src=True):
            target = urlsplit(urljoin(f"http://site/{url}", str(image["src"]))).path
            image["src"] = (self.site / target.lstrip("/")).resolve().as_uri()
        return article

    def link(self, page: str, href: str) -> str:
        """Return an internal link for a link to another page. External links are unchanged.

        Args:
            page: URL of the page, relative to the root of the site.
            href: The link.
        """
        parts = urlsplit(urljoin(f"http://site/{page}", href))
        name = self.places.get(parts.path.lstrip("/"))
        if parts.netloc != "site" or name is None:
            return href
        return f"#{name}--{parts.fragment}" if parts.fragment else f"#{name}"


def _url(path: str) -> str:
    """Return the URL of a page: `a/b/` for `a/b.md`."""
    stem = path.removesuffix(".md")
    return stem.removesuffix("index") if stem.endswith("index") else f"{stem}/"


def _name(path: str) -> str:
    return "page-" + path.removesuffix(".md").replace("/", "-")


def pdf(book: Book, target: Path) -> None:
    """Write a PDF with an outline.

    Args:
        book: The document.
        target: File to write.
    """
    try:
        from weasyprint import HTML
    except OSError as error:  # it loads libraries of the system
        raise SystemExit(
            f"The PDF needs Pango, which is not installed ({error}). Install it:\n"
            "  Debian, Ubuntu: apt install libpango-1.0-0 libpangoft2-1.0-0\n"
            "  macOS: brew install pango\n"
            "  Windows: see https://doc.courtbouillon.org/weasyprint/stable/first_steps.html"
        ) from error
    HTML(string=book.html()).write_pdf(target)


def epub(book: Book, target: Path) -> None:
    """Write an EPUB with one chapter per page.

    Args:
        book: The document.
        target: File to write.
    """
    import pypandoc

    body = "".join(str(book.article(path)) for _, path in book.pages)
    document = f'<html lang="en"><head><title>{book.title}</title></head><body>{body}</body></html>'
    options = ["--toc", "--toc-depth=2", "--split-level=1", f"--metadata=title:{book.title}"]
    pypandoc.convert_text(
        document, "epub3", format="html", outputfile=str(target), extra_args=options
    )


KINDS: dict[str, Callable[[Book, Path], None]] = {"pdf": pdf, "epub": epub}


def main(site: Path, kinds: list[str]) -> None:
    """Write the files.

    Args:
        site: Folder of the built site.
        kinds: Keys of KINDS.
    """
    content = settings.load()
    book = Book(site, content.name, content.description, content.nav)
    TARGET.mkdir(exist_ok=True)
    for kind in kinds:
        target = TARGET / f"docs.{kind}"
        KINDS[kind](book, target)
        print(f"Wrote {target}.")


if __name__ == "__main__":
    with reported():
        main(Path(sys.argv[1]), sys.argv[2:])
