"""The console comes and goes; the engine, and what it records, do not notice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import capturefile
import pexpect
import pytest
from fieldlab import (
    END_TIMEOUT_S,
    End,
    Json,
    Lab,
    call,
    capturing,
    ft_generate,
    program,
    running,
    wait_until,
)

SENDER = Path(__file__).with_name("numbered_sender.py")
NAME = "zebra"
"""Nothing else on the console's screen is called so."""


@pytest.fixture(autouse=True)
def _built_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELDTAP_BIN_DIR", str(Path(program("ft-capture")).parent))


@contextmanager
def terminal(end: End, *argv: str | Path) -> Iterator["pexpect.spawn[str]"]:
    """Run a program on a terminal of its own; both are gone at the end."""
    command = end.command(*argv)
    screen = pexpect.spawn(
        command[0], command[1:], dimensions=(30, 120), encoding="utf-8", timeout=60
    )
    try:
        yield screen
    finally:
        screen.close(force=True)


def fieldtap(end: End, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return end.run(program("fieldtap"), *arguments, check=False)


def engines(end: End) -> list[Json]:
    """Return what a new command line finds running."""
    found: list[Json] = json.loads(fieldtap(end, "capture", "list", "--json").stdout)["engines"]
    return found


def end_engine(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def numbers(path: Path) -> list[int]:
    return [int.from_bytes(frame[14:22], "big") for frame in capturefile.read(path).frames]


def test_a_killed_console_and_a_lost_terminal_leave_the_capture_whole(
    link: Lab, tmp_path: Path
) -> None:
    output, count = tmp_path / "x.pcapng", 20_000
    start = f"'{program('fieldtap')}' capture start {NAME} -i {link.right.port} -w '{output}'"
    with terminal(
        link.right, "sh", "-c", f"{start} && exec '{program('fieldtap')}'"
    ) as first_console:
        wait_until("the engine runs", (tmp_path / f"run/{NAME}/control.sock").exists)
        pid = call(tmp_path / f"run/{NAME}/control.sock", "status")["pid"]
        try:
            with link.left.start(
                sys.executable, SENDER, link.left.port, str(count), stdout=subprocess.PIPE
            ) as sender:
                first_console.expect(f"{NAME}.*running")
                assert first_console.pid is not None
                os.kill(first_console.pid, signal.SIGKILL)
                first_console.close()
                assert sender.wait(END_TIMEOUT_S) == 0
            assert [engine["pid"] for engine in engines(link.right)] == [pid]
            with terminal(link.right, program("fieldtap")) as second_console:
                second_console.expect(f"{NAME}.*running")
            stopped = fieldtap(link.right, "capture", "stop", NAME)
        finally:
            end_engine(pid)
    assert stopped.returncode == 0
    assert "lost 0; the ledger balances" in stopped.stdout
    assert numbers(output) == list(range(count))


def test_an_engine_started_by_hand_is_found_and_stopped(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, name=NAME) as engine:
        (found,) = engines(link.right)
        assert found["pid"] == engine.process.pid
        assert fieldtap(link.right, "capture", "stop", NAME).returncode == 0
        assert engine.finish()["stop_reason"] == "stop"


def test_a_dead_engines_socket_is_no_obstacle_to_the_console(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, "null:", name="crashed") as dead:
        dead.send_signal(signal.SIGKILL)
        dead.wait()
    with capturing(link.right, tmp_path / "x.pcapng", name=NAME) as engine:
        listed = fieldtap(link.right, "capture", "list")
        assert listed.returncode == 0
        assert NAME in listed.stdout
        assert "crashed" not in listed.stdout
        assert len(listed.stderr.splitlines()) <= 1
        engine.stop()
    again = fieldtap(
        link.right, "capture", "start", "crashed", "-i", link.right.port, "-w", "null:"
    )
    assert again.returncode == 0
    assert fieldtap(link.right, "capture", "stop", "crashed").returncode == 0


def test_the_engines_own_words_reach_whoever_starts_it(link: Lab, tmp_path: Path) -> None:
    for options, code, named in (
        (["-i", "nowhere0", "-w", "null:"], 2, "nowhere0"),
        (["-i", link.right.port, "-w", "null:", "-f", "udp prot 53"], 2, "udp prot 53"),
        (["-i", f"file:{tmp_path}/none", "-w", "null:"], 1, "none"),
    ):
        done = fieldtap(link.right, "capture", "start", NAME, *options)
        assert done.returncode == code
        assert len(done.stderr.splitlines()) == 1
        assert named in done.stderr
    assert engines(link.right) == []


def test_a_ring_is_turned_and_kept_and_read_from_the_command_line(
    link: Lab, tmp_path: Path
) -> None:
    ring = ("-b", "packets:1000000", "-w", tmp_path / "ring.pcapng")
    started = fieldtap(link.right, "capture", "start", NAME, "-i", link.right.port, *ring)
    assert started.returncode == 0, started.stderr
    try:
        link.left.run(sys.executable, SENDER, link.left.port, "100")
        assert fieldtap(link.right, "capture", "rotate", NAME).returncode == 0
        wait_until("a file is complete", lambda: [*tmp_path.glob("ring_*.pcapng")])
        link.left.run(sys.executable, SENDER, link.left.port, "100")
    finally:
        stopped = fieldtap(link.right, "capture", "stop", NAME)
    assert "the ledger balances" in stopped.stdout
    first, last = sorted(tmp_path.glob("ring_*.pcapng"))
    assert numbers(first) == numbers(last) == list(range(100))
    assert fieldtap(link.right, "capture", "keep", first).returncode == 0
    assert Path(f"{first}.keep").exists()
    extracted = tmp_path / "one.pcapng"
    done = fieldtap(link.right, "extract", first, last, "-w", extracted, "-f", "ether[21] = 7")
    assert done.returncode == 0, done.stderr
    assert numbers(extracted) == [7, 7]


def test_the_rate_of_a_generator_is_changed_from_the_command_line(link: Lab) -> None:
    argv = ft_generate("-o", f"afpacket:{link.left.port}", "--rate", "1kpps", "--duration", "60")
    with running(link.left, argv, name="gen") as generator:
        for change, speed, paused in (
            ("2kpps", 2.0, False),
            ("pause", 2.0, True),
            ("resume", 2.0, False),
            ("0.5x", 0.5, False),
        ):
            done = fieldtap(link.left, "rate", "gen", change)
            assert done.returncode == 0, done.stderr
            tx = generator.status()["tx"]
            assert (tx["speed"], tx["paused"]) == (speed, paused)
        for wrong in ("fastx", "10mbit", "500Mbps"):
            refused = fieldtap(link.left, "rate", "gen", wrong)
            assert refused.returncode == 2
            assert len(refused.stderr.splitlines()) == 1
        generator.stop()


def test_a_session_is_recorded_from_the_command_line(
    link: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDTAP_KEY_DIR", str(tmp_path / "keys"))
    session = tmp_path / "session"
    options = ("-i", link.right.port, "-w", f"{session}/", "-b", "packets:10")
    started = fieldtap(link.right, "capture", "start", NAME, *options)
    assert started.returncode == 0, started.stderr
    try:
        link.left.run(sys.executable, SENDER, link.left.port, "155")
        shown = fieldtap(link.right, "capture", "show", NAME)
    finally:
        stopped = fieldtap(link.right, "capture", "stop", NAME)
    assert shown.returncode == 0, shown.stderr
    assert stopped.returncode == 0, stopped.stderr
    assert "... 16 files, 155 frames in all ..." in stopped.stdout
    assert "lost 0; the ledger balances" in stopped.stdout
    assert {"session.json", "receipt.json"} <= {path.name for path in session.iterdir()}
    files = sorted(session.glob("capture_*.pcapng"))
    assert [number for path in files for number in numbers(path)] == list(range(155))
