"""A check report as one HTML page: it opens offline, runs nothing, and carries its own JSON.

It has the look of the link tests' reports. All text in a report is untrusted, most of all that of
another machine's bundle: the template escapes it.
"""

import base64
import hashlib
from importlib.metadata import version
from itertools import groupby

import msgspec
from fieldtap_hardware.verdicts import Report, Verdict
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from fieldtap.tables import GLYPHS

MEANINGS = {
    Verdict.OK: "nothing was found that stands against capturing",
    Verdict.WARN: "it can capture, but something should be seen to",
    Verdict.FAIL: "something must be seen to first",
    Verdict.UNKNOWN: "what is not known may hide a failure",
    Verdict.NOT_APPLICABLE: "there was nothing to judge",
}


def render(report: Report, about: str) -> str:
    """The page for `report`; `about` names the machine in a few words."""
    data = msgspec.json.format(msgspec.json.encode(report), indent=2)
    by_subject = groupby(report.checks, key=lambda check: check.subject)
    return (
        _environment()
        .get_template("check.html.j2")
        .render(
            report=report,
            about=about,
            meaning=MEANINGS[report.verdict],
            subjects=[(subject, list(checks)) for subject, checks in by_subject],
            glyphs={verdict: glyph for verdict, (glyph, _) in GLYPHS.items()},
            counts={verdict: _count(report, verdict) for verdict in Verdict},
            version=version("fieldtap"),
            embedded=base64.b64encode(data).decode(),
            sha256=hashlib.sha256(data).hexdigest(),
        )
    )


def _count(report: Report, verdict: Verdict) -> int:
    return sum(check.verdict is verdict for check in report.checks)


def _environment() -> Environment:
    return Environment(
        loader=ChoiceLoader(
            [PackageLoader("fieldtap"), PackageLoader("fieldtap", "linktest/templates")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
