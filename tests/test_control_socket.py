"""The control socket of a real engine: what it answers, and what it bears from bad clients."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fieldlab import (
    Client,
    Engine,
    Lab,
    call,
    capturing,
    client,
    ft_capture,
    ft_generate,
    running,
    wait_until,
)

PARSE_ERROR, BAD_REQUEST, UNKNOWN_METHOD, BAD_PARAMS, FAILED = (
    -32700,
    -32600,
    -32601,
    -32602,
    -32000,
)
MAX_CLIENTS = 16
MAX_REQUEST_BYTES = 4096
CAPTURE_STATUS = {
    "schema", "program", "name", "pid", "state", "started_ns", "now_ns", "lost", "alarms",
    "ports", "files", "output",
}  # fmt: skip
CAPTURE_PORT = {
    "port", "backend", "mode", "timestamps", "direction", "offered", "stored", "filtered",
    "excess", "dropped", "bytes_stored",
}  # fmt: skip
GENERATE_STATUS = CAPTURE_STATUS - {"ports", "files", "output", "lost"} | {"tx", "rx"}


@pytest.fixture
def engine(link: Lab, tmp_path: Path) -> Iterator[Engine]:
    """A running capture that must be well when the test is over."""
    with capturing(link.right, tmp_path / "x.pcapng") as under_test:
        yield under_test
        if under_test.process.poll() is None:
            assert call(under_test.socket, "status")["state"] == "running"
            assert under_test.stop()["balanced"] is True
            assert under_test.words() == ""


@pytest.fixture
def asking(engine: Engine) -> Iterator[Client]:
    with client(engine.socket) as one:
        yield one


def test_a_status_tells_who_runs_since_when_and_every_count(engine: Engine, link: Lab) -> None:
    status = engine.status()
    assert status.keys() >= CAPTURE_STATUS
    assert status["schema"] == "fieldtap.status/1"
    assert (status["program"], status["name"], status["state"]) == ("ft-capture", "tap", "running")
    assert status["pid"] == engine.process.pid
    assert status["started_ns"] <= status["now_ns"]
    (port,) = status["ports"]
    assert port.keys() >= CAPTURE_PORT
    assert port["dropped"].keys() == {"adapter", "kernel", "ring", "disk"}
    assert port["port"] == link.right.port


def test_a_generators_status_tells_what_was_asked_and_what_left(link: Lab) -> None:
    argv = ft_generate("-o", link.left.port, "--rate", "1kpps", "--duration", "60")
    with running(link.left, argv, name="gen") as generator:
        status = generator.status()
        call(generator.socket, "stop")
        report = generator.finish()
    assert status.keys() >= GENERATE_STATUS
    assert status["program"] == "ft-generate"
    assert status["rx"] is None
    assert status["tx"]["port"] == link.left.port
    assert status["tx"]["requested_pps"] == 1000
    assert report["schema"] == "fieldtap.generate-report/1"


def test_the_socket_is_open_to_its_owner_and_group_only(engine: Engine) -> None:
    mode = stat.S_IMODE(engine.socket.stat().st_mode)
    assert mode == 0o660


def test_a_mark_is_in_the_report_with_its_time(link: Lab) -> None:
    with capturing(link.right, "null:") as engine:
        time_ns = call(engine.socket, "mark", text='cable "B" pulled\n\t☃')["time_ns"]
        report = engine.stop()
    assert report["marks"] == [{"time_ns": time_ns, "text": 'cable "B" pulled\n\t☃'}]
    assert report["started_ns"] <= time_ns <= report["stopped_ns"]


def test_a_stop_is_answered_and_ends_the_run(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        assert call(engine.socket, "stop") == {"stopping": True}
        report = engine.finish()
    assert report["stop_reason"] == "stop"
    assert not engine.socket.parent.exists()


def test_a_subscriber_gets_the_status_again_and_again(asking: Client, engine: Engine) -> None:
    assert asking.ask("subscribe", hz=20)["result"] == {"hz": 20}
    pushed = [asking.receive() for _ in range(5)]
    for message in pushed:
        assert message is not None
        assert message["method"] == "status"
        assert "id" not in message
        assert message["params"]["name"] == "tap"
    times = [message["params"]["now_ns"] for message in pushed if message is not None]
    assert times == sorted(set(times))


def test_a_subscriber_is_told_of_the_end_by_the_closed_connection(
    link: Lab, tmp_path: Path
) -> None:
    with capturing(link.right, tmp_path / "x.pcapng") as engine, client(engine.socket) as asking:
        asking.ask("subscribe", hz=20)
        engine.stop()
        while (message := asking.receive()) is not None:
            assert message["params"]["state"] in ("running", "stopping")


def test_rotation_of_a_single_file_is_refused_in_words(asking: Client) -> None:
    error = asking.ask("rotate")["error"]
    assert error["code"] == FAILED
    assert error["message"]


REFUSED = {
    "not json": (b"hello\n", PARSE_ERROR),
    "not utf-8": (b'{"method": "\xff\xfe"}\n', PARSE_ERROR),
    "a nul byte": (b'{"method": "sta\0tus"}\n', PARSE_ERROR),
    "cut short": (b'{"method": "status"\n', PARSE_ERROR),
    "a key twice": (b'{"method": "status", "method": "stop"}\n', PARSE_ERROR),
    "an empty line": (b"\n", PARSE_ERROR),
    "a list": (b"[]\n", BAD_REQUEST),
    "no method": (b'{"id": 1}\n', BAD_REQUEST),
    "method is a number": (b'{"id": 1, "method": 7}\n', BAD_REQUEST),
    "unknown method": (b'{"id": 1, "method": "explode"}\n', UNKNOWN_METHOD),
    "mark without text": (b'{"id": 1, "method": "mark"}\n', BAD_PARAMS),
    "mark of a number": (b'{"id": 1, "method": "mark", "params": {"text": 5}}\n', BAD_PARAMS),
    "params is a list": (b'{"id": 1, "method": "mark", "params": ["x"]}\n', BAD_PARAMS),
    "rate of nothing": (b'{"id": 1, "method": "subscribe", "params": {"hz": 0}}\n', BAD_PARAMS),
    "negative rate": (b'{"id": 1, "method": "subscribe", "params": {"hz": -1}}\n', BAD_PARAMS),
    "rate too high": (b'{"id": 1, "method": "subscribe", "params": {"hz": 1e9}}\n', BAD_PARAMS),
    "rate too low": (b'{"id": 1, "method": "subscribe", "params": {"hz": 1e-300}}\n', BAD_PARAMS),
    "rate in words": (b'{"id": 1, "method": "subscribe", "params": {"hz": "4"}}\n', BAD_PARAMS),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_request_is_refused_in_words_and_the_connection_goes_on(
    asking: Client, case: str
) -> None:
    line, code = REFUSED[case]
    asking.send(line)
    answer = asking.receive()
    assert answer is not None
    assert answer["jsonrpc"] == "2.0"
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert asking.ask("status")["result"]["name"] == "tap"


def test_an_oversized_line_is_refused_and_the_client_dropped(engine: Engine) -> None:
    with client(engine.socket) as asking:
        asking.send(b"x" * MAX_REQUEST_BYTES)
        answer = asking.receive()
        assert answer is not None
        assert answer["error"]["code"] == BAD_REQUEST
        assert asking.receive() is None


def test_a_mark_too_long_is_refused(asking: Client) -> None:
    assert asking.ask("mark", text="x" * 1025)["error"]["code"] == BAD_PARAMS
    assert "result" in asking.ask("mark", text="x" * 1024)


def test_requests_in_pieces_and_several_at_once_are_each_answered_in_order(asking: Client) -> None:
    requests = [json.dumps({"id": number, "method": "status"}) + "\n" for number in range(20)]
    text = "".join(requests)
    for start in range(0, len(text), 7):
        asking.send(text[start : start + 7])
    answers = [asking.receive() for _ in requests]
    assert [answer["id"] for answer in answers if answer is not None] == list(range(20))


def test_a_client_that_never_reads_is_dropped_and_others_are_served(engine: Engine) -> None:
    with client(engine.socket) as silent:
        silent.connection.settimeout(0)
        dropped = False
        while not dropped:
            try:
                silent.send(b'{"id": 1, "method": "status"}\n')
            except BlockingIOError:
                assert call(engine.socket, "status")["state"] == "running"
            except (BrokenPipeError, ConnectionResetError):
                dropped = True
    assert call(engine.socket, "status")["state"] == "running"


def test_clients_that_come_and_go_in_the_middle_of_a_request_do_no_harm(engine: Engine) -> None:
    for text in (b"", b"{", b'{"id": 1, "method": "status"}', b'{"id": 1, "method": "status"}\n'):
        for _ in range(5):
            with client(engine.socket) as leaving:
                leaving.send(text)


def test_a_full_house_is_served_and_a_place_that_frees_is_taken(engine: Engine) -> None:
    with ExitStack() as open_clients:
        crowd = [open_clients.enter_context(client(engine.socket)) for _ in range(MAX_CLIENTS)]
        for one in crowd:
            assert one.ask("subscribe", hz=20)["result"] == {"hz": 20}
        for _ in range(4):
            with client(engine.socket) as late, pytest.raises(ConnectionError):
                late.ask("status")
        for one in crowd:
            assert one.ask("status")["result"]["name"] == "tap"
    wait_until("there is a place", lambda: place_is_free(engine))


def place_is_free(engine: Engine) -> bool:
    try:
        return bool(engine.status()["name"] == "tap")
    except ConnectionError:
        return False


def test_a_name_in_use_is_refused_and_its_engine_goes_on(engine: Engine, link: Lab) -> None:
    argv = ft_capture("-i", link.right.port, "-w", "null:", "--name", "tap")
    done = link.right.run(*argv, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--name tap: a running engine has this name" in done.stderr
    assert engine.status()["pid"] == engine.process.pid


def test_without_a_name_an_engine_is_found_under_program_and_pid(link: Lab, tmp_path: Path) -> None:
    process = link.right.start(*ft_capture("-i", link.right.port, "-w", "null:"))
    path = tmp_path / f"run/ft-capture-{process.pid}/control.sock"
    try:
        wait_until("the socket appears", path.exists)
        assert call(path, "status")["name"] == f"ft-capture-{process.pid}"
        call(path, "stop")
    finally:
        assert process.wait() == 0


def test_a_run_directory_too_long_for_a_socket_is_refused_in_words(
    link: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("FIELDTAP_RUN_DIR", str(deep))
    output = tmp_path / "x.pcapng"
    done = link.right.run(*ft_capture("-i", link.right.port, "-w", output), check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "set FIELDTAP_RUN_DIR to a shorter path" in done.stderr
    assert not list(tmp_path.glob("x.pcapng*"))


def test_what_is_sent_as_ancillary_data_is_ignored(engine: Engine) -> None:
    with client(engine.socket) as asking, Path(os.devnull).open() as file:
        request = b'{"id": 1, "method": "status"}\n'
        socket.send_fds(asking.connection, [request], [file.fileno()])
        answer = asking.receive()
        assert answer is not None
        assert answer["result"]["name"] == "tap"
