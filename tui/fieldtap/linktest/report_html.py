"""A report as one HTML page to hand to a customer: it opens offline, runs nothing, and carries the
JSON that it was made from.

All text in a report is untrusted (names of ports and services, notes): the templates escape it.
"""

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from fieldtap.linktest import report_plots, report_tables, results
from fieldtap.tables import GLYPHS

MEANINGS = {
    "ok": "within the limits that were set",
    "fail": "outside a limit that was set",
    "not_measured": "there was nothing to measure",
    "measured": "no limit was set to judge by",
    "invalid": "nothing was proved",
}

OF_A_LINK = {
    ("quick", "ok"): "no fault was found",
    ("quick", "fail"): "a fault was found",
}


def render(data: bytes, path: Path) -> str:
    """Return the page for the JSON `data`; `path` names it. Raises `EngineError`."""
    report = results.decode(data, path)
    page = _environment().get_template("report.html.j2")
    return page.render(
        report=report,
        title=report_tables.TITLES[report.test],
        meaning=_meaning(report),
        occasion=report_tables.occasion(report),
        between=report_tables.between(report),
        glyphs={verdict: glyph for verdict, (glyph, _) in GLYPHS.items()},
        name=path.name,
        embedded=base64.b64encode(data).decode(),
        sha256=hashlib.sha256(data).hexdigest(),
        results=report_tables.results(report),
        drawn={plot.key: plot for plot in report_plots.plots(report)},
        setup=report_tables.setup(report),
        trials=report_tables.trials(report),
        utc=report_tables.utc,
        iso=_iso,
    )


def _meaning(report: results.LinktestReport) -> str:
    """The verdict in words. A quick test has no limits that anybody set."""
    return OF_A_LINK.get((report.test, report.verdict), MEANINGS[report.verdict])


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("fieldtap.linktest"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _iso(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).isoformat()
