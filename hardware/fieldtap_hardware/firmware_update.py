"""One flow for every way to write firmware, as a journal that survives a crash.

Each step is put down, and synced, before it begins and after it ended. What a crash leaves is for
the next run (`resume`), by the step that it stopped in:

    plan ... backup   nothing was written: rolled back, ports as they were
    write             the writer may live on: it is waited for. If its exit code is lost, the same
                      image, kept beside the journal, is written again: half of one is worse
    verify ...        done again to the end: they read, or may be repeated

A write that began cannot be taken back without an image of what was there before. So where it
fails the journal stays open, and says what to do; only a refusal that touched nothing rolls back.
"""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from fieldtap_hardware.firmware_images import ImageError
from fieldtap_hardware.firmware_plan import Machine, Plan, UpdateError
from fieldtap_hardware.firmware_precheck import check_power, precheck, refusals
from fieldtap_hardware.firmware_run import Outcome, Run, StepError, StuckError, UpdateReport
from fieldtap_hardware.firmware_steps import STEPS, wait_for_writers
from fieldtap_hardware.journal import Journal, JournalError, parse
from fieldtap_hardware.verdicts import Verdict

OPEN = "open"  # the folder of the one update that is not finished
JOURNAL = "journal.jsonl"


def dry_run(
    plan: Plan, machine: Machine, not_newer: str | None = None, accepted: Sequence[str] = ()
) -> UpdateReport:
    """Judge a plan; nothing is touched. Raises UpdateError for an accepted check there is not."""
    checks = precheck(plan, machine, not_newer)
    names = [check.id.removeprefix("update.") for check in checks]
    for name in accepted:
        if name.removeprefix("update.") not in names:
            raise UpdateError(f"no check is called {name!r}; there are: {', '.join(names)}")
    against = refusals(checks, accepted)
    return UpdateReport(
        outcome=Outcome.REFUSED if against else Outcome.PLANNED,
        summary=against[0].summary if against else f"would run `{' '.join(plan.command)}`",
        remedy=against[0].remedy if against else None,
        plan=plan,
        checks=tuple(checks),
    )


def update(
    plan: Plan, machine: Machine, not_newer: str | None = None, accepted: Sequence[str] = ()
) -> UpdateReport:
    """Do it. Raises UpdateError where another update runs or is not finished."""
    judged = dry_run(plan, machine, not_newer, accepted)
    if judged.outcome is Outcome.REFUSED:
        return judged
    with _only_one(machine.state):
        folder = machine.state / OPEN
        if _is_begun(folder):
            raise UpdateError("an earlier update is not finished: see it by --resume")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        run = Run(plan, machine, folder, Journal(folder / JOURNAL))
        run.journal.append("plan", "begin", {"plan": msgspec.to_builtins(plan)})
        run.journal.append("plan", "end")
        # Again, since typing the confirmation took a while.
        run.recheck = lambda: refusals(precheck(plan, machine, not_newer), accepted)
        return _go(run, list(STEPS))


def find_open(machine: Machine) -> UpdateReport | None:
    """The update that is not finished, and what `resume` would do; None without one.

    Raises UpdateError while an update runs.
    """
    folder = machine.state / OPEN
    if not _is_begun(folder):
        return None
    with _only_one(machine.state):
        run = _reopen(folder, machine)
        run.journal.close()
        step = run.stopped_in()
    return UpdateReport(
        outcome=Outcome.STUCK,
        summary=f"the update of {run.plan.target} stopped in the step {step!r}",
        remedy=f"`{run.resume_command()}` {run.next_words()}",
        plan=run.plan,
        step=step,
        journal=str(folder),
    )


def resume(machine: Machine) -> UpdateReport:
    """Complete an update that was interrupted, or roll it back. Raises UpdateError without one."""
    with _only_one(machine.state):
        folder = machine.state / OPEN
        if not _is_begun(folder):
            raise UpdateError("no update is unfinished")
        run = _reopen(folder, machine)
        wait_for_writers(run)
        finished = run.journal.find("finish", "begin")
        if finished is not None:  # all is done but clearing away
            return run.close(msgspec.convert(finished.data["report"], UpdateReport))
        if not run.has_written():
            return run.roll_back(f"it had stopped in the step {run.stopped_in()!r}")
        verdict, summary, _, remedy = check_power(machine.power)
        if verdict == Verdict.FAIL:
            run.journal.close()
            raise UpdateError(f"{summary}: {remedy}, then resume")
        if run.must_write_again():
            names = list(STEPS)
            return _go(run, names[names.index("write") :])
        return _go(run, [step for step in STEPS if not run.journal.has_ended(step)])


def _go(run: Run, steps: Sequence[str]) -> UpdateReport:
    try:
        for name in steps:
            run.machine.say(f"{name} ...")
            run.step(name, lambda name=name: STEPS[name](run))  # type: ignore[misc]
    except StepError as error:
        return run.roll_back(str(error))
    except StuckError as error:
        return run.stuck(str(error), error.remedy, flash_is_wrong=True)
    except (OSError, ImageError, UpdateError, JournalError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        if run.has_written():
            return run.stuck(why, f"see to that, then: `{run.resume_command()}`")
        return run.roll_back(why)
    return run.finish()


@contextlib.contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Hold the machine's one lock for updates; it goes with the process."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UpdateError("another update runs on this machine: wait until it ends") from None
        yield


def _is_begun(folder: Path) -> bool:
    """Is there a plan in the journal? Before that, nothing had been done."""
    path = folder / JOURNAL
    try:
        return path.exists() and bool(parse(path.read_bytes())[0])
    except JournalError:
        return True  # what is damaged is for people to look at


def _reopen(folder: Path, machine: Machine) -> Run:
    try:
        journal = Journal(folder / JOURNAL)
        entry = journal.find("plan", "begin")
        if entry is None:
            raise JournalError("it does not begin with a plan")
        plan = msgspec.convert(entry.data["plan"], Plan)
    except (JournalError, msgspec.ValidationError, KeyError) as error:
        raise UpdateError(f"{folder}: {error}; see `fieldtap firmware` before anything") from error
    return Run(plan, machine, folder, journal)
