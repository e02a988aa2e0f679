#!/usr/bin/env python3
"""Makes a web site of the guide and of everything that it links to, with mdBook.

    python3 tools/book.py MDBOOK OUT

MDBOOK is the program. The pages are copied to OUT/source as they lie in the repository, so that their
links hold in the site, too; the chapters of docs/guide/SUMMARY.md come first. The site is OUT/site. A
link of the site that leads nowhere is an error.
"""

import html.parser
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDE = Path("docs", "guide")
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def resolved(page, target):
    """The file of the repository that a link leads to, or None; a folder's is its README.md."""
    path = Path(os.path.normpath(page.parent / target.partition("#")[0]))
    if (ROOT / path / "README.md").exists():
        path /= "README.md"
    return path if (ROOT / path).is_file() else None


def linked(page):
    """The files of the repository that a page links to, as paths from its root."""
    for _, target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("#") and resolved(page, target):
            yield resolved(page, target)


def staged(path):
    """Where a file lies in the site's source: mdBook makes index.html of README.md."""
    return path.with_name("index.md") if path.name == "README.md" else path


def rewritten(page):
    """The text of a page with the links of the site. A folder without a page is only named."""

    def link(match):
        text, target = match.groups()
        if "://" in target or target.startswith("#"):
            return match[0]
        path = resolved(page, target)
        if path is None:
            return text
        relative = os.path.relpath(staged(path), page.parent)
        return f"[{text}]({relative}{''.join(target.partition('#')[1:])})"

    return LINK.sub(link, (ROOT / page).read_text(encoding="utf-8"))


def reachable(pages):
    """The pages, and all files that can be reached from them."""
    found = dict.fromkeys(pages)
    waiting = list(pages)
    while waiting:
        page = waiting.pop(0)
        for path in linked(page) if page.suffix == ".md" else ():
            if path not in found:
                found[path] = None
                waiting.append(path)
    return list(found)


def title(page):
    first = (ROOT / page).read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").replace("`", "")


def summary(chapters, others):
    """The table of contents: the guide, then everything else by its path."""
    lines = ["# Summary", "", f"[{title(chapters[0])}]({staged(chapters[0])})", ""]
    lines += [f"- [{title(page)}]({page})" for page in chapters[1:]]
    lines += ["", "# Reference", ""]
    lines += [f"- [{title(page)}]({staged(page)})" for page in sorted(others)]
    return "\n".join(lines) + "\n"


class Links(html.parser.HTMLParser):
    """Where the links of a page lead to."""

    def __init__(self):
        super().__init__()
        self.targets = []

    def handle_starttag(self, tag, attrs):
        target = dict(attrs).get("href")
        if tag == "a" and target and "://" not in target and not target.startswith("#"):
            self.targets.append(urllib.parse.unquote(target.partition("#")[0]))


def broken(site):
    for page in sorted(site.rglob("*.html")):
        links = Links()
        links.feed(page.read_text(encoding="utf-8"))
        for target in links.targets:
            if not (page.parent / target).exists():
                yield f"{page.relative_to(site)} links to {target}"


def main(mdbook, out):
    source, site = Path(out, "source"), Path(out, "site")
    shutil.rmtree(out, ignore_errors=True)
    chapters = [page for page in linked(GUIDE / "SUMMARY.md")]
    files = reachable(chapters)
    for path in files:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            (source / staged(path)).write_text(rewritten(path), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / path, source / path)
    pages = [path for path in files if path.suffix == ".md" and path not in chapters]
    (source / "SUMMARY.md").write_text(summary(chapters, pages), encoding="utf-8")
    shutil.copyfile(ROOT / GUIDE / "book.toml", Path(out, "book.toml"))
    environment = {**os.environ, "MDBOOK_BOOK__SRC": "source", "MDBOOK_BUILD__BUILD_DIR": "site"}
    subprocess.run([mdbook, "build", out], check=True, env=environment)
    problems = list(broken(site))
    for problem in problems:
        print(f"book: {problem}", file=sys.stderr)
    print(f"book: {len(pages) + len(chapters)} pages in {site}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 3 else __doc__)
