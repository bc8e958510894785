"""Fixtures that rooms share: engines, the stand-in always and the real one where it can run."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fieldtap_core import start
from fieldtap_core.control import Control
from fieldtap_core.errors import EngineError
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # no test asserts on time
settings.load_profile("untimed")

CHECKOUT = Path(__file__).parent
STANDIN = CHECKOUT / "capture_core/python/tests/standin_engine.py"

EngineUnderTest = tuple[Path, str]
"""A capture program and a port that it can open."""

Talker = Callable[[socket.socket], object]


@pytest.fixture(autouse=True)
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A RUN directory of the test's own, and no other."""
    path = tmp_path / "run"
    path.mkdir()
    monkeypatch.setenv("FIELDTAP_RUN_DIR", str(path))
    monkeypatch.setattr("fieldtap_core.rundirs.SYSTEM_RUN_DIR", tmp_path / "no-system-run")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return path


@pytest.fixture
def standin(tmp_path: Path) -> EngineUnderTest:
    program = tmp_path / "ft-capture"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STANDIN}" ft-capture "$@"\n')
    program.chmod(0o755)
    return program, "ftlab0"


@pytest.fixture
def silent_link() -> Iterator[str]:
    """A virtual link that nothing sends on."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make a virtual link")
    near, far = f"ftc{os.getpid()}a", f"ftc{os.getpid()}b"
    command = ["ip", "link", "add", near, "type", "veth", "peer", "name", far]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine makes no virtual links")
    for device in (near, far):
        Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
        subprocess.run(["ip", "link", "set", device, "up"], check=True)
    yield near
    subprocess.run(["ip", "link", "del", near], check=True)


@pytest.fixture(params=["standin", "real"])
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    if request.param == "standin":
        under_test: EngineUnderTest = request.getfixturevalue("standin")
        return under_test
    program = CHECKOUT / "build/bin/ft-capture"
    if not os.access(program, os.X_OK):
        pytest.skip("build/bin/ft-capture is not built")
    return program, request.getfixturevalue("silent_link")


@pytest.fixture
def running(engine: EngineUnderTest, tmp_path: Path) -> Iterator[start.Started]:
    """A capture called "tap" that is ready."""
    program, port = engine
    started = start.start(program, "tap", ["-i", port, "-w", str(tmp_path / "tap.pcapng")])
    yield started
    try:
        with Control(tmp_path / "run/tap/control.sock") as control:
            status = control.status()
            control.stop()
            control.wait_for_end(status)
    except EngineError:
        return


@pytest.fixture
def talk(run_dir: Path) -> Iterator[Callable[[str, Talker], Path]]:
    """Make a control socket whose every client is handed to a function of the test."""
    listeners: list[socket.socket] = []

    def make(name: str, talker: Talker) -> Path:
        path = run_dir / name / "control.sock"
        path.parent.mkdir()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listeners.append(listener)
        threading.Thread(target=_serve, args=(listener, talker), daemon=True).start()
        return path

    yield make
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _serve(listener: socket.socket, talker: Talker) -> None:
    while True:
        try:
            client = listener.accept()[0]
        except OSError:
            return
        with client, contextlib.suppress(OSError):
            talker(client)
