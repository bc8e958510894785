"""Judging what the guest told: each promise that it breaks is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fieldtap_image.boot_test import MARKER, broken_promises, frame_differences, marker


def kept_result() -> dict[str, Any]:
    """What a guest tells that keeps every promise."""
    return {
        "capture": {"lost": 0, "balanced": True},
        "user": 996,
        "failed_units": [],
        "console": {"tty": "tty1", "uid": 996, "name": "fieldtap", "pid": 400},
        "screen": "PORTS port driver RUNS name state",
        "passwords": {"root": "locked", "fieldtap": "locked"},
        "image": {
            "ssh_host_keys": [],
            "machine_id": "",
            "passwords": {"root": "locked", "fieldtap": "locked"},
        },
    }


def test_a_result_that_keeps_every_promise_passes() -> None:
    assert broken_promises(kept_result()) == []


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("capture.lost", 3, "the capture lost 3 frames"),
        ("capture.balanced", False, "the ledger is not balanced but False"),
        ("capture.balanced", None, "the ledger is not balanced but None"),
        ("user", 0, "the capture ran as root"),
        ("failed_units", ["x.service"], "failed units: x.service"),
        ("console.tty", "tty2", "the console is on tty2, not on tty1"),
        ("console.uid", 0, "the console runs as root"),
        ("screen", "", "the console has not drawn its tables on the screen"),
        ("console.name", "agetty", "what runs on tty1 is agetty, not the console"),
        ("passwords.root", "set", "running system: the password of root is set, not locked"),
        (
            "image.passwords.fieldtap",
            "empty",
            "image: the password of fieldtap is empty, not locked",
        ),
        (
            "image.ssh_host_keys",
            ["ssh_host_rsa_key"],
            "SSH host keys in the image: ssh_host_rsa_key",
        ),
        ("image.machine_id", "abc", "a machine id in the image: abc"),
    ],
)
def test_a_broken_promise_is_named(path: str, value: object, sentence: str) -> None:
    result = kept_result()
    *parents, last = path.split(".")
    node = result
    for name in parents:
        node = node[name]
    node[last] = value
    assert broken_promises(result) == [sentence]


def test_the_marker_is_found_between_other_lines_of_the_console() -> None:
    console = f"[ 1.0] kernel\r\n\x1b[0m{MARKER}{json.dumps({'a': 1})}\r\n[ 2.0] down\r\n"
    assert marker(console) == {"a": 1}


@pytest.mark.parametrize("console", ["", "login:", f'{MARKER}{{"cut', f"{MARKER}[1]"])
def test_a_console_without_a_whole_marker_gives_none(console: str) -> None:
    assert marker(console) is None


def test_the_same_frames_in_order_do_not_differ() -> None:
    assert frame_differences([b"one", b"two"], [b"one", b"two"]) == []


def test_frames_that_changed_places_differ() -> None:
    (difference,) = frame_differences([b"one", b"two"], [b"two", b"one"])
    assert difference.startswith("frame 1 differs")


def test_a_missing_frame_is_counted() -> None:
    assert frame_differences([b"one", b"two"], [b"one"]) == ["2 frames were sent and 1 captured"]


def test_a_changed_byte_is_found() -> None:
    (difference,) = frame_differences([b"one", b"two"], [b"one", b"twO"])
    assert difference.startswith("frame 2 differs")
