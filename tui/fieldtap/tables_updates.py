"""Plans and reports of what changes an adapter, as text; nothing in them is read as markup."""

import sys

from fieldtap_hardware.firmware_run import UpdateReport
from fieldtap_hardware.license_install import InstallReport
from rich.console import Console
from rich.text import Text

from fieldtap.tables import verdict_text


def print_update(report: UpdateReport) -> None:
    """Print the plan, its checks, and what came of it."""
    lines: list[tuple[str, object]] = []
    if plan := report.plan:
        lines = [
            ("adapter", f"{plan.adapter or plan.target} ({plan.handle})"),
            ("ports", ", ".join(plan.ports) or "none"),
            ("image", f"{plan.image.file}, {plan.image.version}"),
            ("SHA-256", plan.image.sha256),
            ("now", plan.before.running or "unknown"),
            ("command", " ".join(plan.command)),
            ("confirm with", plan.word),
        ]
        if plan.removable:
            lines.append(("cable", "the adapter is behind one: leave it alone meanwhile"))
    _print_lines(lines)
    console = _console()
    for check in report.checks:
        name = check.id.rpartition(".")[2]
        line = verdict_text(check.verdict).append(f"  {name}: {check.summary}")
        console.print(line, soft_wrap=True)
        if check.remedy:
            console.print(Text(f"    → {check.remedy}"), soft_wrap=True)
    _print_end(report.outcome, report.summary, report.remedy)
    if report.journal:
        console.print(Text(f"journal: {report.journal}"), soft_wrap=True)


def print_install(report: InstallReport) -> None:
    """Print the plan, the states before and after, and what came of it."""
    _print_lines(
        [
            ("adapter", f"{report.adapter or report.port} ({report.word})"),
            ("command", " ".join(report.command)),
            ("confirm with", report.word),
        ]
    )
    after = {found.feature: found for found in report.after}
    for before in report.before:
        now = after.get(before.feature)
        then = f" -> {now.state}" if now else ""
        _print_lines([(str(before.feature), f"{before.state}{then} (by {before.source})")])
    _print_end(report.outcome, report.summary, report.remedy)


def _print_lines(lines: list[tuple[str, object]]) -> None:
    for name, value in lines:
        _console().print(Text(f"{name + ':':14}{value}"), soft_wrap=True)


def _print_end(outcome: str, summary: str, remedy: str | None) -> None:
    _console().print(Text(f"\n{outcome.replace('_', ' ')}: {summary}"), soft_wrap=True)
    if remedy:
        _console().print(Text(f"    → {remedy}"), soft_wrap=True)


def _console() -> Console:
    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
