"""Parsing what arrives over a control socket or lies in a report file."""

import json
from pathlib import Path
from typing import Any

import pytest
from fieldtap_core import messages, reports
from fieldtap_core.errors import EngineError, ProtocolError, RefusedError
from hypothesis import given
from hypothesis import strategies as st

CAPTURE: dict[str, Any] = {
    "schema": "fieldtap.status/1",
    "program": "ft-capture",
    "name": "tap",
    "pid": 7,
    "state": "running",
    "started_ns": 1,
    "now_ns": 2,
    "lost": 3,
    "alarms": [{"time_ns": 2, "text": "disk full"}],
    "ports": [
        {
            "port": "ftlab0",
            "backend": "afpacket",
            "mode": "tpacket_v3",
            "timestamps": "host",
            "direction": "both",
            "offered": 10,
            "stored": 7,
            "filtered": 0,
            "excess": 0,
            "dropped": {"adapter": 0, "kernel": 1, "ring": 2, "disk": 0},
            "bytes_stored": 420,
        }
    ],
    "files": [{"path": "/tmp/tap.pcapng", "packets": 7, "bytes": 420}],
    "output": "/tmp/tap.pcapng",
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_capture_status_is_read_with_its_drops() -> None:
    status = messages.parse_status(encoded(CAPTURE))
    assert isinstance(status, messages.CaptureStatus)
    assert status.ports[0].dropped.total() == 3
    assert status.alarms[0].text == "disk full"


def test_a_reflectors_status_is_read_with_its_refusals() -> None:
    own = {
        "program": "ft-reflect",
        "port": "ftlab0",
        "mode": "generic",
        "cap_pps": None,
        "duration_s": 3600.0,
        "seen": 12,
        "reflected": 5,
        "bytes": 300,
        "capped": 3,
        "refused": {"foreign": 1, "group": 1, "reflected": 1, "fragment": 1, "bad_length": 0},
        "wire": {"source": "tx_packets", "sent": 5, "dropped": 0},
    }
    status = messages.parse_status(encoded(CAPTURE | own))
    assert isinstance(status, messages.ReflectStatus)
    assert (status.reflected, status.refused.fragment, status.lost) == (5, 1, 3)


def test_unknown_fields_are_tolerated() -> None:
    newer = CAPTURE | {"queue_depth": 5}
    newer["ports"] = [CAPTURE["ports"][0] | {"colour": "green"}]
    assert messages.parse_status(encoded(newer)) == messages.parse_status(encoded(CAPTURE))


@pytest.mark.parametrize("field", ["schema", "program", "name", "lost", "ports", "output"])
def test_a_missing_field_is_a_protocol_error_that_names_it(field: str) -> None:
    partial = {key: value for key, value in CAPTURE.items() if key != field}
    with pytest.raises(ProtocolError, match=field):
        messages.parse_status(encoded(partial))


@pytest.mark.parametrize(
    ("field", "value"),
    [("schema", "fieldtap.status/2"), ("program", "ft-other"), ("lost", -1), ("pid", "7")],
)
def test_a_value_out_of_place_is_a_protocol_error(field: str, value: object) -> None:
    with pytest.raises(ProtocolError):
        messages.parse_status(encoded(CAPTURE | {field: value}))


def test_an_error_reply_raises_the_engines_own_words() -> None:
    line = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"this run writes one file"}}'
    with pytest.raises(RefusedError, match="this run writes one file"):
        messages.result_of(messages.parse_reply(line), messages.Stopping)


def test_a_ring_with_unproved_sums_and_no_hashes_is_read() -> None:
    port = CAPTURE["ports"][0] | {"derived": ["kernel"], "wire": None, "unstamped": 2}
    times = {"first_ns": None, "last_ns": None, "sha256": None, "late": 1, "complete": True}
    files = [
        {"path": f"/tmp/ring_0000{at}_20261124101112.pcapng", "packets": at, "bytes": 0} | times
        for at in range(20)
    ]
    report = {
        "schema": "fieldtap.capture-report/1",
        "name": "ring",
        "started_ns": 1,
        "stopped_ns": 2,
        "stop_reason": "files",
        "balanced": None,
        "lost": 0,
        "ports": [port],
        "files": files,
        "expired": {"files": 3, "packets": 300, "bytes": 18000, "size_bytes": 40000},
    }
    read = reports.parse_capture_report(encoded(report), Path("report.json"))
    assert read.balanced is None
    assert sum(file.packets for file in read.files) == sum(range(20))


@given(st.binary())
def test_no_bytes_make_the_reply_parser_fail_in_another_way(data: bytes) -> None:
    try:
        messages.parse_reply(data)
    except ProtocolError:
        return


@given(JSON)
def test_no_json_makes_the_parsers_fail_in_another_way(value: object) -> None:
    data = json.dumps(value).encode()
    for parse in (messages.parse_reply, messages.parse_status):
        try:
            parse(data)
        except ProtocolError:
            continue


@given(st.sampled_from(sorted(CAPTURE)), JSON)
def test_a_status_with_any_one_field_replaced_is_read_or_refused(field: str, value: object) -> None:
    try:
        status = messages.parse_status(encoded(CAPTURE | {field: value}))
    except ProtocolError:
        return
    assert status.name


@given(st.binary() | JSON.map(encoded))
def test_no_file_makes_the_report_parsers_fail_in_another_way(data: bytes) -> None:
    for parse in (reports.parse_capture_report, reports.parse_generate_report):
        with pytest.raises(EngineError, match="is not a"):
            parse(data, Path("report.json"))


def test_deeply_nested_json_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        messages.parse_reply(b"[" * 100_000)
