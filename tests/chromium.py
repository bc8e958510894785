"""A real browser without a screen: what a page looks like to it, and what it complained of.

It has no network: a namespace of its own with nothing in it.
"""

import re
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path

from fieldlab import LabError, tool

PROGRAM = "chromium-headless-shell"
TIMEOUT_S = 60
# --no-sandbox: it refuses to run as root otherwise.
OPTIONS = ("--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--no-pdf-header-footer")


class Page(HTMLParser):
    """The page's elements after the browser made sense of it.

    `figures` are the values of a table's cells by table and column, row by row, in the words of
    <data value>, else as text. `console` is what the browser said, errors and refusals included.
    """

    def __init__(self, html: str, console: list[str]) -> None:
        super().__init__()
        self.console = console
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.links: list[str] = []
        self.tables: dict[str, list[dict[str, str]]] = {}
        self._keys: list[str] = []
        self._rows: list[dict[str, str]] = []
        self._cell: str | None = None
        self._value: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        named = dict(attrs)
        match tag:
            case "table":
                self._keys, self._rows = [], []
                self.tables[str(named["id"]).removeprefix("table-")] = self._rows
            case "th":
                self._keys.append(str(named["data-key"]))
            case "tr":
                self._rows.append({})
            case "td":
                self._cell, self._value = "", None
            case "data":
                self._value = named["value"]
            case "a":
                self.links.append(str(named["href"]))

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            row = self._rows[-1]
            row[self._keys[len(row)]] = self._value or str(self._cell)
            self._cell = None
        elif tag == "thead":
            self._rows.clear()


def open_page(path: Path) -> Page:
    """Open a file in the browser. Raises `LabError` where there is no browser."""
    done = _run("--dump-dom", path)
    return Page(done.stdout, _console(done.stderr))


def print_page(path: Path, pdf: Path) -> None:
    """Print a file on paper. Raises `LabError` where there is no browser."""
    _run(f"--print-to-pdf={pdf}", path)


def _run(action: str, path: Path) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as profile:
        command = [tool(PROGRAM), *OPTIONS, f"--user-data-dir={profile}", action, path.as_uri()]
        done = subprocess.run(
            [tool("unshare"), "--net", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    if "unshare failed" in done.stderr:
        raise LabError("needs root for a network namespace")
    if done.returncode != 0:
        raise AssertionError(f"{PROGRAM}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return done


def _console(stderr: str) -> list[str]:
    return re.findall(r":CONSOLE[(:].*", stderr)
