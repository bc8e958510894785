"""The steps of an update. Each gets the run, and returns what the journal keeps of it.

One that fails before anything was written raises StepError, one that fails later StuckError.
"""

import lzma
import os
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from fieldtap_hardware import writing
from fieldtap_hardware.firmware import devlink_handle
from fieldtap_hardware.firmware_images import ImageError, digest_of
from fieldtap_hardware.firmware_plan import State
from fieldtap_hardware.firmware_run import Run, StepError, StuckError
from fieldtap_hardware.firmware_versions import same
from fieldtap_hardware.journal import sync_folder
from fieldtap_hardware.writing import Writer

BACK_S = 30.0  # an adapter that was reset needs some seconds to come back
KILLED = 128  # a shell's exit codes from here on tell of a signal


def _precheck(run: Run) -> dict[str, object]:
    """What was true when the plan was shown must still be."""
    against = run.recheck()
    if against:
        raise StepError(f"{against[0].id}: {against[0].summary}")
    return {}


def _lock(run: Run) -> dict[str, object]:
    """Take a copy of the image that nobody else can change, and judge that copy.

    The machine's lock is held by now, and lasts as long as this process.
    """
    _copy_image(run)
    if run.plan.tool.unpacks:
        _unpack(run)  # again before it is written: this only shows that it can be
    return {"sha256": run.plan.image.sha256}


def _copy_image(run: Run) -> None:
    """Copy the image beside the journal. Raises StepError where it is not what was pinned."""
    shutil.copyfile(run.plan.image.file, run.image_file())
    if not _is_pinned(run.image_file(), run):
        raise StepError(f"{run.plan.image.file} is not the image that was pinned")
    _sync(run.image_file())


def _is_pinned(file: Path, run: Run) -> bool:
    try:
        return digest_of(file) == run.plan.image.sha256
    except ImageError:
        return False


def _unpack(run: Run) -> None:
    """Unpack the copy of the image. Raises StepError where it is no tar, or damaged."""
    folder = run.folder / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with tarfile.open(run.image_file()) as packed:
            packed.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise StepError(f"{run.plan.image.file}: {error}") from error


def _quiesce(run: Run) -> dict[str, object]:
    """Switch off every port of the adapter."""
    for port in run.plan.up:
        run.machine.switch(port, up=False)
    return {"down": list(run.plan.up)}


def _backup(run: Run) -> dict[str, object]:
    """Save what is stored, where the tool can."""
    words = {"backup": str(run.folder / "backup"), "address": run.plan.handle.partition("/")[2]}
    if not run.plan.tool.backup:
        return {"backup": None, "reason": f"{run.plan.command[0]} cannot read firmware back"}
    command = [part.format(**words) for part in run.plan.tool.backup]
    saved, code = Path(words["backup"]), _run_patiently(run, "backup", command)
    if code != 0 or not saved.exists() or saved.stat().st_size == 0:
        raise StepError(f"`{' '.join(command)}` saved nothing: exit code {code}")
    _sync(saved)
    return {"backup": str(saved), "sha256": digest_of(saved)}


def _write(run: Run) -> dict[str, object]:
    """Write, unless a writer that an earlier run started has done it."""
    if run.has_written() and not run.must_write_again():
        code = writing.exit_code(_last_writer(run, "write"))
        if code is not None and code < KILLED:
            return _judge(run, code)
        run.machine.say("nobody saw how the write ended: writing the same image again")
    _make_ready(run)
    return _judge(run, _run_patiently(run, "write", run.command()))


def _make_ready(run: Run) -> None:
    """Put the image where the tool takes it from; a power cut may have damaged what was there."""
    try:
        if not _is_pinned(run.image_file(), run):
            _copy_image(run)
        if run.plan.tool.unpacks:
            _unpack(run)
        if run.plan.tool.kernel_loads:
            shutil.copyfile(run.image_file(), run.staged)
            _sync(run.staged)
    except (StepError, OSError) as error:
        if not run.has_written():
            raise
        remedy = f"put the image back at {run.plan.image.file}, then: `{run.resume_command()}`"
        raise StuckError(f"the image cannot be written again: {error}", remedy) from error


def _judge(run: Run, code: int | None) -> dict[str, object]:
    """What a writer's end means: only a refusal before the flash was touched is harmless."""
    words = writing.last_words(_last_writer(run, "write"))
    if code == 0:
        return {"exit_code": 0, "words": words}
    told = f"{run.plan.command[0]} ended with exit code {code}: {words or 'no word'}"
    killed = code is None or code >= KILLED
    touched = killed or len(run.writers()) > 1 or run.plan.tool.has_begun(_words(run))
    if not touched and _firmware(run.read()) == _firmware(run.plan.before):
        raise StepError(told)
    raise StuckError(told, _what_to_do(run))


def _what_to_do(run: Run) -> str:
    saved = run.folder / "backup"
    backup = f"; what was there before is saved in {saved}" if saved.exists() else ""
    return (
        f"do not switch off and do not unplug; `{run.resume_command()}` writes the same image "
        f"again{backup}"
    )


def _verify(run: Run) -> dict[str, object]:
    """Ask another path than the writer's own words what is stored now."""
    after = run.read()
    stored = after.stored(run.plan.tool.stored_by)
    version = run.plan.image.version
    if stored is None or same(stored, version) or after.paths_to(version):
        return {"stored": stored}
    if _is_of_a_part(run) and stored != run.plan.before.stored(run.plan.tool.stored_by):
        return {"stored": stored, "reason": "the version of a part: proves neither"}
    raise StuckError(
        f"the writer reported success, but {run.plan.tool.stored_by} still tells {stored}",
        _what_to_do(run),
    )


def _is_of_a_part(run: Run) -> bool:
    """Whether what is stored may be told part by part, while the image is all of them (ice)."""
    return run.plan.tool.stored_by == "devlink" and run.plan.image.component is None


def _activate(run: Run) -> dict[str, object]:
    """Let what is stored run, where that works without a power cycle."""
    version = run.plan.image.version
    before = run.plan.before.running
    if not run.plan.tool.activate or (not same(before, version) and run.read().paths_to(version)):
        return {"activated": False}
    words = {"handle": run.plan.handle, "address": run.plan.handle.partition("/")[2]}
    code = _run_patiently(run, "activate", [it.format(**words) for it in run.plan.tool.activate])
    words_said = writing.last_words(_last_writer(run, "activate"))
    return {"activated": code == 0, "exit_code": code, "words": words_said}


def _postcheck(run: Run) -> dict[str, object]:
    """Wait until the adapter is back, switch its ports on, and read everything again."""
    deadline = time.monotonic() + BACK_S
    while run.plan.ports and time.monotonic() < deadline:
        handles = [devlink_handle(port) for port in run.machine.ports()]
        if run.plan.handle in handles:
            break
        time.sleep(writing.POLL_S)
    run.switch_on()
    run.after = run.read()
    return {"after": msgspec.to_builtins(run.after)}


STEPS: dict[str, Callable[[Run], dict[str, object]]] = {
    "precheck": _precheck,
    "lock": _lock,
    "quiesce": _quiesce,
    "backup": _backup,
    "write": _write,
    "verify": _verify,
    "activate": _activate,
    "postcheck": _postcheck,
}


# --- running the tools ----------------------------------------------------------------------------


def _run_patiently(run: Run, step: str, command: Sequence[str]) -> int | None:
    """Run a tool to its end, however long that takes; the journal has its process first."""

    def note(writer: Writer) -> None:
        data = {"writer": msgspec.to_builtins(writer), "command": list(command)}
        run.journal.append(step, "note", data)

    unpacked = run.folder / "unpacked"
    with writing.deaf() as heard:
        writer = writing.start(
            command,
            run.folder / f"{step}.log",
            run.folder / f"{step}.exit",
            note,
            unpacked if unpacked.exists() else None,
        )
        return writing.wait(writer, run.machine.say, run.machine.patience, heard)


def wait_for_writers(run: Run) -> None:
    """Wait for every tool that an earlier run started and that may still be at work."""
    notes = [entry.data["writer"] for entry in run.journal.entries if "writer" in entry.data]
    with writing.deaf() as heard:
        for writer in notes:
            known = msgspec.convert(writer, Writer)
            writing.wait(known, run.machine.say, run.machine.patience, heard)


def _last_writer(run: Run, step: str) -> Writer:
    entry = run.journal.find(step, "note")
    assert entry is not None
    return msgspec.convert(entry.data["writer"], Writer)


def _words(run: Run) -> str:
    with (run.folder / "write.log").open("rb") as file:
        return file.read(1 << 20).decode(errors="replace")


def _firmware(state: State) -> object:
    return [(found.channel, found.running, found.stored) for found in state.firmware]


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(path.parent)
