"""The console as a process on a terminal: killing it must disturb no engine."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from fieldtap import captures, machine
from fieldtap.failures import BAD_USAGE, CommandError

EngineUnderTest = tuple[Path, str]


@pytest.fixture
def console(
    standin: EngineUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], "pexpect.spawn[str]"]]:
    """Open consoles on terminals of their own; the stand-in takes whatever port comes first."""
    if not machine.ports():
        pytest.skip("this machine has no port but loopback")
    monkeypatch.setenv("FIELDTAP_BIN_DIR", str(standin[0].parent))
    monkeypatch.chdir(tmp_path)
    opened: list[pexpect.spawn[str]] = []

    def open_one() -> "pexpect.spawn[str]":
        opened.append(
            pexpect.spawn(
                sys.executable,
                ["-m", "fieldtap"],
                dimensions=(24, 80),
                timeout=60,
                encoding="utf-8",
                env=os.environ | {"TERM": "linux"},
            )
        )
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close(force=True)


def test_a_capture_outlives_the_console_that_started_it_and_the_next_one_finds_it(
    console: Callable[[], "pexpect.spawn[str]"],
) -> None:
    terminal = console()
    terminal.expect("New capture")
    terminal.send("n")
    terminal.expect("NEW CAPTURE")
    terminal.send("\r")
    terminal.expect("running for")
    terminal.kill(9)
    terminal.wait()
    name = captures.look().engines[0].status.name
    following = console()
    following.expect("RUNS")
    following.expect(re.escape(name))
    report = captures.stop(name).report
    assert report is not None
    assert report.stop_reason == "stop"


@pytest.mark.parametrize("options", [["-w", "-"], ["-w-"]])
def test_a_capture_that_outlives_its_terminal_cannot_write_to_it(options: list[str]) -> None:
    with pytest.raises(CommandError, match="no stdout") as raised:
        captures.start_capture("tap", ["-i", "eth0", *options])
    assert raised.value.exit_code == BAD_USAGE
