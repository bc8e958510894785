"""Values as terminal tables; text from outside is never read as markup."""

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby

from fieldtap_core.survey import Engine
from fieldtap_hardware.clock_checks import ClockReport
from fieldtap_hardware.explain import Explanation
from fieldtap_hardware.firmware import Firmware
from fieldtap_hardware.licenses import License
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check, Report
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fieldtap import words

GLYPHS = {
    "ok": ("●", "green"),
    "warn": ("▲", "yellow"),
    "fail": ("✗", "red"),
    "unknown": ("?", "magenta"),
    "not_applicable": ("-", "dim"),
    "measured": ("●", "cyan"),
    "not_measured": ("-", "dim"),
    "invalid": ("▲", "yellow"),
}


def print_ports(ports: Iterable[Port]) -> None:
    """Print the inventory, a line a port."""
    rows = [
        (
            port.name,
            port.driver or "-",
            link_words(port),
            words.scaled(port.speed_bps, "b/s") if port.speed_bps else "-",
            stamp_words(port),
            port.model or ("virtual" if port.virtual else "-"),
        )
        for port in ports
    ]
    if not rows:
        _console().print("no port is here: `fieldtap check` says what to do")
        return
    _print(("port", "driver", "link", "speed", "timestamps", "adapter"), rows)


def link_words(port: Port) -> str:
    """The state of the link in a word or two."""
    if not port.up:
        return "down"
    if port.carrier is None:
        return "up"
    return "up" if port.carrier else "no carrier"


def stamp_words(port: Port) -> str:
    """Who can stamp received frames, by the driver's word; "+PTP": the adapter, but only PTP's."""
    stamps = port.timestamping
    if stamps is None:
        return "-"
    if stamps.adapter_rx_all:
        return "adapter"
    return "host (+PTP)" if stamps.adapter_rx else "host"


def print_checks(report: Report | ClockReport) -> None:
    """Print every check with what to do, by subject, then the verdict."""
    console = _console()
    for subject, checks in groupby(report.checks, key=lambda check: check.subject):
        console.print(Text(f"\n{subject}", style="bold"))
        for check in checks:
            name = check.id.rpartition(".")[2]
            line = verdict_text(check.verdict).append(f"  {name}: {check.summary}")
            console.print(line, soft_wrap=True)
            if check.remedy:
                console.print(Text(f"    → {check.remedy}"), soft_wrap=True)
    console.print(Text("\nverdict ").append(verdict_text(report.verdict)))


def print_change(at: str, identifier: str, subject: str, check: Check | None) -> None:
    """Print one change of a check, in a line; None: it has nothing to be about any more."""
    name = f"{at}  {subject} {identifier.rpartition('.')[2]}: "
    if check is None:
        line = Text(f"{name}is gone")
    else:
        line = Text(name).append(verdict_text(check.verdict)).append(f"  {check.summary}")
    _console().print(line, soft_wrap=True)
    sys.stdout.flush()


def verdict_text(verdict: str) -> Text:
    """A verdict as glyph, word and colour: never by colour alone."""
    glyph, style = GLYPHS[verdict]
    return Text.assemble((f"  {glyph} {verdict.replace('_', ' ')}", style))


def print_explanation(explanation: Explanation) -> None:
    """Print a recorded output's items, a value a line, then the verdict."""
    console = _console()
    for item in explanation.items:
        console.print(Text(f"\n{item.subject}", style="bold"))
        for key, value in item.values.items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            console.print(Text(f"  {key}: {shown}"), soft_wrap=True)
    reason = f"  {explanation.reason}" if explanation.reason else ""
    line = Text("\nverdict ").append(verdict_text(explanation.verdict)).append(reason)
    console.print(line, soft_wrap=True)


def print_firmware(found: Sequence[tuple[Firmware, Check]]) -> None:
    """Print the firmware of each port or device, a line each, then what to do."""
    rows = [
        (
            firmware.subject,
            firmware.adapter or "-",
            firmware.running or "-",
            firmware.stored or "-",
            firmware.channel,
            verdict_text(check.verdict),
        )
        for firmware, check in found
    ]
    if not rows:
        _console().print("no adapter with firmware of its own is here")
        return
    _print(("port", "adapter", "running", "stored", "by", "verdict"), rows)
    _print_remedies(check for _, check in found)


def print_licenses(found: Sequence[tuple[License, Check]]) -> None:
    """Print the licences of each port, a line a feature, then what to do."""
    rows = [
        (
            license_.port,
            license_.adapter or "-",
            license_.feature,
            license_.state,
            license_.reason,
            verdict_text(check.verdict),
        )
        for license_, check in found
    ]
    if not rows:
        _console().print("no adapter here takes licences")
        return
    _print(("port", "adapter", "feature", "state", "how it is known", "verdict"), rows)
    _print_remedies(check for _, check in found)


def _print_remedies(checks: Iterable[Check]) -> None:
    for check in checks:
        if check.remedy and check.verdict != "ok":
            text = f"{check.subject}: {check.summary}\n    → {check.remedy}"
            _console().print(Text(text), soft_wrap=True)


def print_engines(engines: Sequence[Engine]) -> None:
    """Print the running engines, a line each."""
    rows = [
        (
            engine.status.name,
            engine.status.state,
            words.port_names(engine.status),
            words.seconds(engine.status.now_ns - engine.status.started_ns),
            words.count(words.frames(engine.status)),
            words.count(engine.status.lost),
            words.target(engine.status),
        )
        for engine in engines
    ]
    _print(("name", "state", "ports", "for", "frames", "lost", "to"), rows)


def _console() -> Console:
    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False)


def _print(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    _console().print(table)
