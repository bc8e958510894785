"""One connection to one engine, well-behaved or not."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fieldtap_core import control, messages, reports, start, survey
from fieldtap_core.control import Control
from fieldtap_core.errors import (
    EngineGoneError,
    EngineSilentError,
    ProtocolError,
    RefusedError,
)

Talk = Callable[[str, Callable[[socket.socket], object]], Path]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long for those who hang."""
    monkeypatch.setattr(control, "END_SILENCE_S", 0.2)


def hang(client: socket.socket) -> None:
    while client.recv(4096):
        pass


def speak_garbage(client: socket.socket) -> None:
    client.recv(4096)
    client.sendall(b"220 mail.example ESMTP\r\n")
    hang(client)


def never_end_the_line(client: socket.socket) -> None:
    try:
        while True:
            client.sendall(b"x" * 65536)
    except OSError:
        return


def test_an_engine_says_what_it_is(running: start.Started) -> None:
    engine = survey.find("tap")
    with Control(engine.socket) as connection:
        status = connection.status()
    assert isinstance(status, messages.CaptureStatus)
    assert (status.name, status.pid, status.state) == ("tap", running.pid, "running")
    assert status.output.endswith("tap.pcapng")


def test_a_mark_is_answered_with_its_time(running: start.Started) -> None:
    with Control(survey.find("tap").socket) as connection:
        assert connection.mark("cable pulled") > 0


def test_a_capture_has_no_rate_to_change(running: start.Started) -> None:
    with Control(survey.find("tap").socket) as connection:
        for change in (connection.pause, connection.resume):
            with pytest.raises(RefusedError):
                change()


def test_a_refused_request_raises_the_engines_words(running: start.Started) -> None:
    with Control(survey.find("tap").socket) as connection, pytest.raises(RefusedError):
        connection.mark("x" * 1025)


def test_after_the_end_the_report_is_there_and_the_socket_is_not(running: start.Started) -> None:
    engine = survey.find("tap")
    with Control(engine.socket) as connection:
        connection.stop()
        last = connection.wait_for_end(engine.status)
    assert last.name == "tap"
    assert not engine.socket.exists()
    report = reports.read_capture_report(running.report)
    assert report.stop_reason == "stop"
    assert report.balanced is True


def test_waiting_for_an_engine_that_is_gone_returns_at_once(
    running: start.Started, impatient: None
) -> None:
    engine = survey.find("tap")
    with Control(engine.socket) as connection:
        connection.stop()
        connection.wait_for_end(engine.status)
        connection.wait_for_end(engine.status)


def test_a_socket_without_a_listener_is_an_engine_gone(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(EngineGoneError, match="no engine listens"):
        Control(path)


def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="cannot connect"):
        Control(tmp_path / ("x" * 120))


def test_garbage_is_a_protocol_error_that_names_the_socket(talk: Talk) -> None:
    path = talk("garbage", speak_garbage)
    with Control(path) as connection, pytest.raises(ProtocolError, match=r"garbage/control\.sock"):
        connection.status()


def test_a_hanging_socket_is_given_up(talk: Talk) -> None:
    path = talk("hanging", hang)
    with Control(path, timeout_s=0.1) as connection, pytest.raises(EngineSilentError):
        connection.status()


def test_a_line_without_end_is_given_up(talk: Talk) -> None:
    path = talk("endless", never_end_the_line)
    with Control(path) as connection, pytest.raises(ProtocolError, match="line without end"):
        connection.status()


def test_an_engine_that_closes_its_socket_and_lives_on_is_reported(
    running: start.Started, talk: Talk, impatient: None
) -> None:
    status = survey.find("tap").status
    path = talk("closing", lambda client: None)
    with Control(path) as connection, pytest.raises(EngineSilentError, match="does not end"):
        connection.wait_for_end(status)
