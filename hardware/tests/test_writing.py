"""A program that writes to an adapter: what is done for the machine to stay awake meanwhile."""

import os
import time
from pathlib import Path

import pytest
from fieldtap_hardware import writing

QUICK = writing.Patience(still_s=60, stuck_s=60)
WRITE_UNTIL_TOLD = """
echo begun
until [ -e "$1" ]; do sleep 0.02; done
exit 7
"""


def install_standin(folder: Path, text: str) -> None:
    """Put a stand-in for systemd-inhibit, which needs logind, in front of the real one."""
    program = folder / "bin/systemd-inhibit"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}")
    program.chmod(0o755)


def write(folder: Path, *command: str) -> writing.Writer:
    return writing.start(command, folder / "log", folder / "exit", lambda _: None)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)


def test_the_machine_is_kept_awake_until_the_writer_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, released = tmp_path / "held", tmp_path / "released"
    run = 'while [ "${1#--}" != "$1" ]; do shift; done; "$@"'
    install_standin(tmp_path, f'echo "$@" >{held}.new; mv {held}.new {held}; {run}; >{released}')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    go = tmp_path / "go"
    writer = write(tmp_path, "sh", "-c", WRITE_UNTIL_TOLD, "sh", str(go))
    wait_for(held)
    words = held.read_text()
    assert "sleep" in words
    assert "handle-lid-switch" in words
    assert not released.exists()
    go.touch()
    assert writing.wait(writer, print, QUICK, []) == 7
    assert released.exists()
    assert "begun\n" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("standin", ["echo no logind >&2; exit 1", "kill -9 $$", None])
def test_a_machine_without_logind_is_written_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standin: str | None
) -> None:
    if standin is not None:
        install_standin(tmp_path, standin)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    else:
        monkeypatch.setattr(writing, "environment", lambda: _without_systemd(tmp_path))
    go = tmp_path / "go"
    go.touch()
    writer = write(tmp_path, "sh", "-c", WRITE_UNTIL_TOLD, "sh", str(go))
    assert writing.wait(writer, print, QUICK, []) == 7
    assert "begun\n" in (tmp_path / "log").read_text()


def _without_systemd(folder: Path) -> dict[str, str]:
    """An environment whose PATH has only what the test's writer needs."""
    programs = folder / "few"
    programs.mkdir()
    for name in ("sh", "sleep", "sync", "mv", "cat"):
        (programs / name).symlink_to(f"/bin/{name}")
    return dict(os.environ) | {"PATH": str(programs)}
