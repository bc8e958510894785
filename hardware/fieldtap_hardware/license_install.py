"""Installing a key file on a Solarflare adapter, with what was licensed before and after.

sfkey's own words prove little: no output of it is public. What proves a key is the driver, which
offers more once it is there; where it does not, the result stays `unverified`. Key material is
neither shown nor kept: sfkey's words are masked, and lie in a private folder only while it runs.
"""

import re
import stat
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware import writing
from fieldtap_hardware.explain.sfkey import MASKED, UNVERIFIED, mask
from fieldtap_hardware.firmware_plan import Machine, UpdateError
from fieldtap_hardware.licenses import License, LicenseState, read_licenses
from fieldtap_hardware.ports import Port
from fieldtap_hardware.programs import find_program
from fieldtap_hardware.writing import Writer

MAX_KEY_BYTES = 64 << 10  # a key has some hundred bytes, a file one for each adapter
SHORTEST_SECRET = 6
SFKEY = "sfkey"  # options as in its users' guide (SF-103837); never run against an adapter here


class InstallOutcome(StrEnum):
    PLANNED = "planned"
    REFUSED = "refused"
    PROVEN = "proven"  # the driver offers what it did not before
    UNVERIFIED = "unverified"  # sfkey is content, and the driver shows no change
    FAILED = "failed"


class Change(Struct, frozen=True):
    """A feature whose state is another after than before."""

    port: str
    feature: str
    before: LicenseState
    after: LicenseState
    source: str


class InstallReport(Struct, frozen=True, kw_only=True):
    """What installing would do, or did. Nothing in it is key material."""

    schema: str = "fieldtap.license-install/1"
    outcome: InstallOutcome
    summary: str
    remedy: str | None = None
    port: str
    adapter: str | None
    word: str  # what must be typed to confirm
    file: str
    command: tuple[str, ...]
    format: str = UNVERIFIED
    before: tuple[License, ...] = ()
    after: tuple[License, ...] = ()
    changes: tuple[Change, ...] = ()
    words: str | None = None  # sfkey's, masked


def plan_install(name: str, file: Path, machine: Machine) -> InstallReport:
    """Judge an install; nothing is touched. Raises UpdateError for an unknown port."""
    ports = machine.ports()
    port = next((port for port in ports if port.name == name), None)
    if port is None or port.bus_address is None:
        there = ", ".join(port.name for port in ports if not port.virtual) or "none"
        raise UpdateError(f"no port of an adapter is called {name!r}; there are: {there}")
    before = tuple(read_licenses([port], machine.ask))
    against = _refusal(port, file.absolute(), before, machine)
    command = (SFKEY, f"--adapter={port.name}", "--install", str(file.absolute()))
    return InstallReport(
        outcome=InstallOutcome.REFUSED if against else InstallOutcome.PLANNED,
        summary=against[0] if against else f"would run `{' '.join(command)}`",
        remedy=against[1] if against else None,
        port=port.name,
        adapter=port.model,
        word=port.bus_address,
        file=str(file.absolute()),
        command=command,
        before=before,
    )


def install(plan: InstallReport, machine: Machine) -> InstallReport:
    """Run sfkey to its end, and read what is licensed again."""
    secrets = _secrets(Path(plan.file))
    with tempfile.TemporaryDirectory(prefix="fieldtap-license-") as folder:
        log, exit_file = Path(folder, "log"), Path(folder, "exit")
        writer = writing.start(plan.command, log, exit_file, _unnoted)
        code = writing.wait(writer, lambda _: machine.say("sfkey still runs"), machine.patience, [])
        words = _without(secrets, writing.last_words(writer))
    port = next((port for port in machine.ports() if port.name == plan.port), None)
    after = tuple(read_licenses([port], machine.ask)) if port else ()
    changes = _changes(plan.before, after)
    proven = [it for it in changes if it.source == "driver" and it.after == LicenseState.LICENSED]
    remedy: str | None = None
    if code != 0:
        outcome, remedy = InstallOutcome.FAILED, "see that the key is for this adapter's serial"
        summary = f"{SFKEY} ended with exit code {code}: {words or 'no word'}"
    elif proven:
        outcome = InstallOutcome.PROVEN
        summary = f"the driver now offers {', '.join(it.feature for it in proven)}"
    else:
        outcome = InstallOutcome.UNVERIFIED
        summary = f"{SFKEY} was content, and the driver shows no change ({UNVERIFIED})"
        remedy = "a driver looks for licences as it starts: reload it, then `fieldtap license`"
    return InstallReport(
        outcome=outcome,
        summary=summary,
        remedy=remedy,
        port=plan.port,
        adapter=plan.adapter,
        word=plan.word,
        file=plan.file,
        command=plan.command,
        before=plan.before,
        after=after,
        changes=changes,
        words=words,
    )


def _refusal(
    port: Port, file: Path, before: Sequence[License], machine: Machine
) -> tuple[str, str] | None:
    """Why not, and what to do."""
    try:
        state = file.stat()
    except OSError as error:
        return f"{file}: {error.strerror}", "give the file that the vendor sent"
    if not stat.S_ISREG(state.st_mode) or not 0 < state.st_size <= MAX_KEY_BYTES:
        return f"{file} is no key file: it has {state.st_size} bytes", "give the vendor's file"
    if not before:
        return f"the adapter of {port.name} takes no licences", "it needs none"
    if find_program(SFKEY) is None:
        return f"{SFKEY} is not installed", "install the vendor's sfutils"
    if not machine.is_root():
        return "this is not root", "run it with sudo"
    if engines := machine.engines():
        return f"runs now: {', '.join(engines)}", "end it first: `fieldtap capture stop NAME`"
    return None


def _changes(before: Sequence[License], after: Sequence[License]) -> tuple[Change, ...]:
    was = {(found.port, found.feature): found.state for found in before}
    return tuple(
        Change(now.port, str(now.feature), was[now.port, now.feature], now.state, now.source)
        for now in after
        if was.get((now.port, now.feature), now.state) != now.state
    )


def _unnoted(_writer: Writer) -> None:
    """There is no journal: sfkey adds a key, and one that is half added is not valid."""


def _secrets(file: Path) -> list[str]:
    """The words of a key file, longest first."""
    words = re.split(r"\s+", file.read_bytes()[:MAX_KEY_BYTES].decode(errors="replace"))
    return sorted({it for it in words if len(it) >= SHORTEST_SECRET}, key=len, reverse=True)


def _without(secrets: Sequence[str], words: str) -> str:
    for secret in secrets:
        words = words.replace(secret, MASKED)
    return mask(words)
