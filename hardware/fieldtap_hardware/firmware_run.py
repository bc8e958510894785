"""One update on its way: its plan, its journal, how it may end, and the report of that."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from fieldtap_hardware.firmware import RESET
from fieldtap_hardware.firmware_plan import Machine, Plan, State, UpdateError, read_state
from fieldtap_hardware.firmware_versions import same
from fieldtap_hardware.journal import Entry, Journal, sync_folder
from fieldtap_hardware.verdicts import Check


class Outcome(StrEnum):
    PLANNED = "planned"  # a dry run: nothing stands in the way
    REFUSED = "refused"  # a check stands in the way; nothing was touched
    DONE = "done"
    STORED = "stored"  # written, and not running yet
    UNVERIFIED = "unverified"  # the writer is content, and no other path tells
    ROLLED_BACK = "rolled_back"  # nothing was written
    STUCK = "stuck"  # the journal stays open


class UpdateReport(Struct, frozen=True, kw_only=True):
    """What an update would do, or did."""

    schema: str = "fieldtap.firmware-update/1"
    outcome: Outcome
    summary: str
    remedy: str | None = None
    plan: Plan | None = None
    checks: tuple[Check, ...] = ()
    after: State | None = None
    confirmed_by: tuple[str, ...] = ()  # paths that say that the image runs
    step: str | None = None  # an open journal: where it stopped
    journal: str | None = None  # its folder


class StepError(Exception):
    """A step failed before anything was written."""


class StuckError(Exception):
    """A step failed after the flash was touched, perhaps; the journal stays open."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.remedy = remedy


class Run:
    """An update on its way: its plan, its journal, and what was already put down there."""

    def __init__(self, plan: Plan, machine: Machine, folder: Path, journal: Journal) -> None:
        self.plan, self.machine, self.folder, self.journal = plan, machine, folder, journal
        self.recheck: Callable[[], list[Check]] = list
        self.staged = machine.firmware_dir / f"fieldtap-{plan.image.sha256[:16]}.bin"
        self.after: State | None = None

    def step(self, name: str, act: Callable[[], dict[str, object]]) -> None:
        """Put down that a step begins, do it, put down what came of it."""
        self.journal.append(name, "begin")
        self.journal.append(name, "end", act())

    def writers(self) -> list[Entry]:
        """The notes of every writer that was started for the write, or nearly."""
        entries = self.journal.entries
        return [entry for entry in entries if (entry.step, entry.event) == ("write", "note")]

    def has_written(self) -> bool:
        return bool(self.writers())

    def must_write_again(self) -> bool:
        """Did what the last writer left prove not to be the image?"""
        since = self.journal.entries[self.writers()[-1].number :]
        return any(entry.step == "stuck" and entry.data.get("flash_is_wrong") for entry in since)

    def stopped_in(self) -> str:
        return self.journal.unfinished() or self.journal.entries[-1].step

    def next_words(self) -> str:
        return "completes it" if self.has_written() else "rolls it back: nothing was written"

    def resume_command(self) -> str:
        return f"fieldtap firmware update {self.plan.target} --resume --write"

    def image_file(self) -> Path:
        return self.folder / "image"

    def command(self) -> list[str]:
        """The plan's command with the places of the image."""
        image = self.staged.name if self.plan.tool.kernel_loads else str(self.image_file())
        folder = str(self.folder / "unpacked")
        places = (("{image}", image), ("{folder}", folder))
        words = list(self.plan.command)
        for name, place in places:
            words = [word.replace(name, place) for word in words]
        return words

    def read(self) -> State:
        return read_state(self.plan.handle, self.plan.image.component, self.machine)

    def switch_on(self) -> None:
        """Bring up what was up before, where it is still there."""
        present = {port.name for port in self.machine.ports()}
        for port in self.plan.up:
            if port in present:
                self.machine.switch(port, up=True)

    # --- endings ---

    def roll_back(self, why: str) -> UpdateReport:
        """Undo what the steps before the write did. May itself be interrupted and done again."""
        with contextlib.suppress(OSError):  # a full disk must not leave the ports down
            self.journal.append("roll back", "begin", {"why": why})
        try:
            self.switch_on()
        except UpdateError as error:
            return self.stuck(f"{why}; {error}", f"switch on {', '.join(self.plan.up)} by hand")
        return self.close(
            UpdateReport(
                outcome=Outcome.ROLLED_BACK,
                summary=f"nothing was written: {why}",
                remedy="see to the cause, then try again",
                plan=self.plan,
            )
        )

    def stuck(self, why: str, remedy: str, *, flash_is_wrong: bool = False) -> UpdateReport:
        """Leave the journal open; `flash_is_wrong` where what a writer left is not the image."""
        step = self.stopped_in()
        data = {"step": step, "why": why, "flash_is_wrong": flash_is_wrong}
        with contextlib.suppress(OSError):  # a full disk may be what it is stuck at
            self.journal.append("stuck", "note", data)
        self.journal.close()
        return UpdateReport(
            outcome=Outcome.STUCK,
            summary=why,
            remedy=remedy,
            plan=self.plan,
            after=self.read(),
            step=step,
            journal=str(self.folder),
        )

    def finish(self) -> UpdateReport:
        version = self.plan.image.version
        after = self.after or self.read()
        paths = after.paths_to(version)
        stored = after.stored(self.plan.tool.stored_by)
        remedy: str | None = None
        if paths and same(self.plan.before.running, version):
            outcome = Outcome.DONE
            summary = f"{version} was written again; the same version ran before, which proves less"
        elif paths:
            outcome, summary = Outcome.DONE, f"{version} runs, says {', '.join(paths)}"
        elif same(stored, version):
            outcome, remedy = Outcome.STORED, RESET
            summary = f"{version} is stored, not running: {after.running} runs"
        else:
            outcome, remedy = Outcome.UNVERIFIED, f"{RESET}; then see `fieldtap firmware`"
            summary = f"the writer was content, but nothing else tells of {version}"
        summary += "".join(f"; {words}" for words in differences(self.plan.before, after))
        return self.close(
            UpdateReport(
                outcome=outcome,
                summary=summary,
                remedy=remedy,
                plan=self.plan,
                after=after,
                confirmed_by=tuple(paths),
            )
        )

    def close(self, report: UpdateReport) -> UpdateReport:
        """Put the report down, remove the copies of the image, and file the journal away."""
        if self.journal.find("finish", "begin") is None:
            self.journal.append("finish", "begin", {"report": msgspec.to_builtins(report)})
        self.staged.unlink(missing_ok=True)
        self.image_file().unlink(missing_ok=True)
        shutil.rmtree(self.folder / "unpacked", ignore_errors=True)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        name = re.sub(r"[^\w.-]", "_", self.plan.target)  # fwupd's may have anything in it
        filed = self.folder.with_name(f"{stamp}-{name}-{os.getpid()}")
        self.journal.append("finish", "end")
        self.journal.close()
        self.folder.rename(filed)
        sync_folder(filed.parent)
        return msgspec.structs.replace(report, journal=str(filed))


def differences(before: State, after: State) -> list[str]:
    """Clocks that went, licences that changed: a new firmware may come in another variant."""
    clocks = [
        f"the clock of {port} is gone"
        for port, had in before.clocks.items()
        if had and not after.clocks.get(port, False)
    ]
    licenses = [
        f"the licence for {name} was {state} and is {after.licenses.get(name, 'unknown')}"
        for name, state in before.licenses.items()
        if after.licenses.get(name, "unknown") != state
    ]
    return clocks + licenses
