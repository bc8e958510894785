"""The pushed stream of status values."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fieldtap_core import start, stream
from fieldtap_core.control import Control
from fieldtap_core.errors import EngineGoneError, EngineSilentError, ProtocolError

Talk = Callable[[str, Callable[[socket.socket], object]], Path]


async def test_statuses_arrive_until_the_engine_ends(running: start.Started, run_dir: Path) -> None:
    path = run_dir / "tap/control.sock"
    states = []
    async for status in stream.subscribe(path, hz=10):
        states.append(status.state)
        if len(states) == 3:
            with Control(path) as control:
                control.stop()
    assert states[:3] == ["running"] * 3


async def test_a_kill_ends_the_stream(running: start.Started, run_dir: Path) -> None:
    seen = 0
    async for _ in stream.subscribe(run_dir / "tap/control.sock", hz=10):
        seen += 1
        if seen == 2:
            os.kill(running.pid, signal.SIGKILL)
    assert seen >= 2


async def test_a_dead_socket_is_an_engine_gone(run_dir: Path) -> None:
    with pytest.raises(EngineGoneError):
        await anext(stream.subscribe(run_dir / "none/control.sock", hz=2))


async def test_a_hanging_engine_is_given_up(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SILENCE_S", 0.1)
    path = talk("hanging", lambda client: [client.recv(1) for _ in range(1000)])
    with pytest.raises(EngineSilentError):
        await anext(stream.subscribe(path, hz=2))


@pytest.mark.parametrize("babble", [b"hello\n", b"x" * 5_000_000, b"[]\n", b'{"jsonrpc":"2.0"}\n'])
async def test_babble_ends_in_a_protocol_error_or_the_end(talk: Talk, babble: bytes) -> None:
    path = talk("babbling", lambda client: client.sendall(babble))
    try:
        async for status in stream.subscribe(path, hz=2):
            pytest.fail(f"made a status of babble: {status}")
    except ProtocolError as error:
        assert "babbling/control.sock" in str(error)  # noqa: PT017
