"""The command layer for sessions: what `fieldtap verify` finds, as a report like any other."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from fieldtap_core import signing
from fieldtap_core import verify as core
from fieldtap_core.errors import EngineError
from fieldtap_core.verify import Finding
from fieldtap_hardware.verdicts import Check, Report, Verdict, worst

from fieldtap.failures import BAD_USAGE, CommandError

UNTOUCHED = "do not rely on this copy; find an untouched one, and compare"
"""What to do about files and receipts that do not agree."""


def verify(directory: Path, say: Callable[[str], None]) -> Report:
    """Judge every session in `directory`. Raises `CommandError` or `EngineError`."""
    if not directory.is_dir():
        raise CommandError(f"{directory} is not a directory", BAD_USAGE)
    try:
        found = core.find_sessions(directory)
    except OSError as error:
        raise EngineError(f"cannot read {directory}: {error.strerror}") from None
    if not found:
        text = f"{directory} holds no session: none was captured into it (ft-capture -w DIR/)"
        raise CommandError(text, BAD_USAGE)
    checks = [
        _check(finding, path.relative_to(directory))
        for path in found
        for finding in core.verify(path, lambda file: say(f"reading {file}"))
    ]
    return Report(verdict=worst(check.verdict for check in checks), checks=tuple(checks))


def in_short(report: Report) -> Report:
    """The same with one line in place of all checks of a subject that are ok."""
    short: list[Check] = []
    for subject, group in groupby(report.checks, key=lambda check: check.subject):
        checks = list(group)
        good = (Verdict.OK, Verdict.NOT_APPLICABLE)
        if len(checks) > 1 and all(check.verdict in good for check in checks):
            said = ", ".join(check.id.rpartition(".")[2] for check in checks)
            short.append(Check("all", subject, Verdict.OK, said, {}))
        else:
            short += checks
    return Report(verdict=report.verdict, checks=tuple(short))


def key_words() -> str:
    """Which key this device signs receipts with, for whoever is to compare it."""
    prints = [text for key in signing.device_keys() if (text := signing.fingerprint(key))]
    if not prints:
        return "This device has no key yet: the first session makes one."
    return "Receipts of sessions are signed here with the key\n" + "\n".join(
        f"  {text}" for text in prints
    )


def _check(finding: Finding, folder: Path) -> Check:
    """A finding as a check; its subject says in which folder, where there are several."""
    subject = finding.subject if folder == Path() else str(folder / finding.subject)
    verdict = Verdict(finding.verdict)
    remedy = finding.remedy
    if remedy is None and verdict in (Verdict.WARN, Verdict.FAIL):
        remedy = UNTOUCHED
    return Check(finding.id, subject, verdict, finding.summary, finding.evidence, remedy)
