"""The management client: any bytes are survived, and what pmc prints is what is read."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fieldtap_hardware.ptp import (
    HEADER,
    SETS,
    CurrentSet,
    PtpClock,
    build_get,
    parse_answer,
    read_clock_at,
)
from fieldtap_hardware.verdicts import Unreadable
from hypothesis import given
from hypothesis import strategies as st

CLOCK = bytes.fromhex("863c42fffecb8adf")
DEFAULT = bytes([3, 0]) + struct.pack(">HBBBHB", 2, 128, 255, 0xFE, 0xFFFF, 128) + CLOCK + b"\0\0"


def port_of(number: int) -> bytes:
    return CLOCK + struct.pack(">H", number)


def data_of(identifier: int, number: int) -> bytes:
    """A data set by its layout; sums are told apart by the number of the port."""
    return {
        0x2000: DEFAULT,
        0x2001: struct.pack(">Hqq", 1, -236 << 16, 1718 << 16),
        0x2002: port_of(1) + bytes(8) + bytes([10, 6, 0x21, 0xFF, 0xFF, 128]) + CLOCK,
        0x2003: struct.pack(">hBB", 37, 0b001100, 0x20),
        0xC000: struct.pack(">qq22xi", -236, 5, 1) + CLOCK,
        0x2004: port_of(number)
        + bytes([9 if number == 1 else 6, 0])
        + bytes(8)
        + b"\x01\x03\xff\0\0\2",
        0xC005: port_of(number) + struct.pack("<32Q", *range(100 * number, 100 * number + 32)),
        0xC004: port_of(number) + bytes([9, 1, 4]) + b"eth" + str(number).encode(),
        0xC009: port_of(number) + struct.pack(">iB", number - 1, 0),
    }[identifier]


def answer_to(request: bytes, data: bytes, tlv: int = 1) -> bytes:
    fields = list(HEADER.unpack(request))
    fields[2], fields[13] = HEADER.size + len(data), 2
    fields[14], fields[15] = tlv, 2 + len(data)
    return HEADER.pack(*fields) + data


@contextmanager
def peer(path: Path, answers: Callable[[int, bytes], list[bytes]]) -> Iterator[None]:
    """A constructed daemon at `path`, which sends what `answers` makes of an id and a request."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(path))
    server.settimeout(5)

    def serve() -> None:
        try:
            while True:
                request, client = server.recvfrom(2000)
                for answer in answers(HEADER.unpack_from(request)[-1], request):
                    server.sendto(answer, client)
        except OSError:
            return  # closed, or the client has gone

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(6)


def whole(identifier: int, request: bytes) -> list[bytes]:
    ports = (2, 1) if identifier in (0x2004, 0xC004, 0xC005, 0xC009) else (0,)
    return [answer_to(request, data_of(identifier, number)) for number in ports]


@given(st.binary(max_size=600))
def test_any_bytes_are_an_answer_or_none(message: bytes) -> None:
    parse_answer(message)


@given(st.sampled_from(sorted(SETS)), st.binary(max_size=400), st.integers(0, 65535))
def test_any_data_of_any_data_set_is_read_within_its_bounds(
    identifier: int, data: bytes, sequence: int
) -> None:
    message = answer_to(build_get(identifier, sequence), data)
    answer = parse_answer(message)
    assert answer is not None
    assert (answer.sequence, answer.identifier) == (sequence, identifier)
    if len(data) < SETS[identifier][0]:
        assert answer.value is None


@given(st.sampled_from(sorted(SETS)), st.integers(0, 300))
def test_an_answer_that_is_cut_off_is_none(identifier: int, kept: int) -> None:
    message = answer_to(build_get(identifier, 0), data_of(identifier, 1))
    cut = message[: min(kept, len(message) - 1)]
    assert parse_answer(cut) is None


def test_a_request_is_54_bytes_to_every_port_and_goes_no_further() -> None:
    request = build_get(0x2001, 7)
    assert len(request) == 54
    assert request[34:44] == b"\xff" * 10
    assert request[44:47] == b"\0\0\0"  # hops, hops, GET
    assert request[30:32] == b"\0\7"
    assert request[52:] == b"\x20\x01"


def test_several_ports_are_joined_by_their_identity_in_the_order_of_their_number(
    tmp_path: Path,
) -> None:
    with peer(tmp_path / "s", whole):
        clock = read_clock_at(str(tmp_path / "s"))
    assert isinstance(clock, PtpClock)
    assert clock.current == CurrentSet(1, -236.0, 1718.0)
    assert [port.name for port in clock.ports] == ["eth1", "eth2"]
    assert [port.state for port in clock.ports] == ["SLAVE", "MASTER"]
    assert [port.stats.announces for port in clock.ports if port.stats] == [111, 211]
    assert [port.hwclock.phc_index for port in clock.ports if port.hwclock] == [0, 1]
    assert clock.ports[0].settings.sync_interval_s == 0.5
    assert clock.time is not None
    assert (clock.time.utc_offset_valid, clock.time.ptp_timescale) == (True, True)


def test_a_data_set_that_is_refused_is_missing_and_the_rest_is_there(tmp_path: Path) -> None:
    def refusing(identifier: int, request: bytes) -> list[bytes]:
        if identifier != 0xC009:
            return whole(identifier, request)
        refusal = bytearray(answer_to(request, struct.pack(">HI", identifier, 0), tlv=2))
        refusal[52:54] = b"\0\2"  # no such id
        return [bytes(refusal)]

    with peer(tmp_path / "s", refusing):
        clock = read_clock_at(str(tmp_path / "s"), 2)
    assert isinstance(clock, PtpClock)
    assert [port.hwclock for port in clock.ports] == [None, None]
    assert all(port.properties for port in clock.ports)


def test_answers_of_other_requests_and_garbage_are_passed_over(tmp_path: Path) -> None:
    def babbling(identifier: int, request: bytes) -> list[bytes]:
        stale = bytearray(whole(identifier, request)[0])
        stale[30:32] = b"\xff\xff"
        return [b"", b"\0" * 60, bytes(stale), *whole(identifier, request)]

    with peer(tmp_path / "s", babbling):
        clock = read_clock_at(str(tmp_path / "s"))
    assert isinstance(clock, PtpClock)
    assert len(clock.ports) == 2


def test_a_peer_that_never_stops_does_not_hold_us(tmp_path: Path) -> None:
    with peer(tmp_path / "s", lambda identifier, request: [b"noise"] * 100):
        outcome = read_clock_at(str(tmp_path / "s"), 0.2)
    assert isinstance(outcome, Unreadable)
    assert "no answer" in outcome.reason


def test_a_daemon_that_was_stopped_does_not_hold_us_once_its_queue_is_full(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stopped:
        stopped.bind(str(tmp_path / "ptp4l"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling:
            filling.settimeout(0)
            with suppress(BlockingIOError):
                while True:
                    filling.sendto(b"", str(tmp_path / "ptp4l"))
        assert isinstance(read_clock_at(str(tmp_path / "ptp4l"), 0.05), Unreadable)


@pytest.mark.parametrize("there", [False, True])
def test_a_socket_that_nobody_serves_is_unreadable_with_the_systems_words(
    tmp_path: Path, there: bool
) -> None:
    path = tmp_path / "s"
    if there:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(str(path))
    outcome = read_clock_at(str(path))
    assert isinstance(outcome, Unreadable)
    words = "Connection refused" if there else "No such file or directory"
    assert outcome.reason == f"{path}: {words}"


def test_a_path_too_long_for_a_socket_is_unreadable(tmp_path: Path) -> None:
    assert isinstance(read_clock_at(str(tmp_path / ("s" * 200))), Unreadable)
