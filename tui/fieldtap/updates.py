"""The command layer for what changes an adapter: firmware updates and licence keys."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fieldtap_core import survey
from fieldtap_hardware.firmware_images import ImageError, find_image
from fieldtap_hardware.firmware_plan import STATE, Machine, UpdateError, make_plan
from fieldtap_hardware.firmware_run import Outcome, UpdateReport
from fieldtap_hardware.firmware_update import dry_run, find_open, resume, update
from fieldtap_hardware.license_install import (
    InstallOutcome,
    InstallReport,
    install,
    plan_install,
)

from fieldtap.failures import BAD_USAGE, CHECK_FAILED, DONE, FAILED, CommandError

EXIT_CODES = {
    Outcome.PLANNED: DONE,
    Outcome.DONE: DONE,
    Outcome.STORED: DONE,
    Outcome.REFUSED: CHECK_FAILED,
    Outcome.UNVERIFIED: FAILED,
    Outcome.ROLLED_BACK: FAILED,
    Outcome.STUCK: FAILED,
}
INSTALL_EXIT_CODES = {
    InstallOutcome.REFUSED: CHECK_FAILED,
    InstallOutcome.FAILED: FAILED,
}


def update_firmware(
    target: str,
    image: Path,
    *,
    sha256: str | None,
    not_newer: str | None,
    accepted: Sequence[str],
    write: bool,
    confirm: Callable[[str], str],
    journal: Path | None,
) -> UpdateReport:
    """Plan an update of the adapter of port `target`, and do it with `write`.

    `confirm` is given the word that confirms, and returns what was typed. Raises `CommandError`.
    """
    machine = _machine(journal)
    try:
        plan = make_plan(target, find_image(image, sha256), machine)
        judged = dry_run(plan, machine, not_newer, accepted)
    except (ImageError, UpdateError) as error:
        raise CommandError(str(error), BAD_USAGE) from error
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error
    try:
        if not write or judged.outcome is Outcome.REFUSED:
            return judged
        _check_confirmed(plan.word, confirm)
        return update(plan, machine, not_newer, accepted)
    except UpdateError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error


def resume_firmware(
    target: str, *, write: bool, confirm: Callable[[str], str], journal: Path | None
) -> UpdateReport:
    """Show the update that did not finish; complete it or roll it back with `write`."""
    machine = _machine(journal)
    try:
        found = find_open(machine)
        if found is None or found.plan is None:
            raise CommandError(f"no update is unfinished in {machine.state}", BAD_USAGE)
        if found.plan.target != target:
            raise CommandError(
                f"what is unfinished is the update of {found.plan.target}", BAD_USAGE
            )
        if not write:
            return found
        _check_confirmed(found.plan.word, confirm)
        return resume(machine)
    except UpdateError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error


def install_license(
    target: str, file: Path, *, write: bool, confirm: Callable[[str], str]
) -> InstallReport:
    """Plan the install of a key file, and do it with `write`. Raises `CommandError`."""
    machine = _machine(None)
    try:
        plan = plan_install(target, file, machine)
        if not write or plan.outcome is InstallOutcome.REFUSED:
            return plan
        _check_confirmed(plan.word, confirm)
        return install(plan, machine)
    except UpdateError as error:
        raise CommandError(str(error), BAD_USAGE) from error
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error


def _check_confirmed(word: str, confirm: Callable[[str], str]) -> None:
    if confirm(word).strip() != word:
        raise CommandError(f"not confirmed: nothing was written (--confirm {word!r})", BAD_USAGE)


def _machine(journal: Path | None) -> Machine:
    return Machine(engines=_engines, say=_say, state=journal or STATE)


def _engines() -> list[str]:
    return [engine.status.name for engine in survey.look().engines]


def _say(text: str) -> None:
    sys.stderr.write(f"fieldtap: {text}\n")
    sys.stderr.flush()
