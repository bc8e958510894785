"""Link tests by the real engine over a virtual link, and what befalls their trials."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fieldlab import Json, Lab, call, ft_generate, lab, program, running, tool, wait_until

TIMEOUT_S = 120
STEADY = ("soak", "--rate", "2kpps", "--duration", "60s")
"""A load that any machine keeps, for as long as a test needs to spoil it."""

PROFILE = """
[[service]]
name = "voice"
size = 128
cir = "1Mbps"
flr = "0%"
"""


@pytest.fixture
def loop() -> Iterator[Lab]:
    """A link whose two ends one tester can use."""
    with lab(together=True) as made:
        yield made


def start(loop: Lab, name: str, *options: str) -> "subprocess.Popen[bytes]":
    """Start a link test between the ends of the link; its report goes to stdout."""
    os.environ["FIELDTAP_BIN_DIR"] = str(Path(program("ft-generate")).parent)
    command = [program("fieldtap"), "linktest", name, loop.left.port, loop.right.port]
    return loop.left.start(
        *command, *options, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: "subprocess.Popen[bytes]") -> tuple[int, Json]:
    """Wait for the end of a test; return its exit code and report."""
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert stdout, stderr.decode()
    report: Json = json.loads(stdout)
    return process.returncode, report


def running_engine(run_dir: Path) -> Json:
    """Return what the engine of the test's steady trial says of itself, once there is one."""
    found: list[Json] = []

    def look() -> bool:
        for socket in run_dir.glob("*/control.sock"):
            try:
                status: Json = call(socket, "status")
            except (ConnectionError, FileNotFoundError):
                continue
            if status["tx"]["requested_pps"] == 2000:
                found.append(status)
        return bool(found)

    wait_until("an engine of the test", look)
    return found[0]


def test_a_clean_link_is_ok_and_nothing_is_left_behind(loop: Lab, run_dir: Path) -> None:
    options = ("--rate", "2kpps", "--duration", "2s")
    code, report = finish(start(loop, "soak", *options))
    assert code == 0
    assert report["schema"] == "fieldtap.linktest-report/1"
    assert report["verdict"] == "ok"
    assert report["soak"]["sent"] == 4000
    assert report["soak"]["losses"] == []
    assert [port["name"] for port in report["ports"]] == [loop.left.port, loop.right.port]
    assert list(run_dir.iterdir()) == [] or [path.name for path in run_dir.iterdir()] == [".ports"]


def test_top_speed_goes_both_ways_and_tagged(loop: Lab) -> None:
    options = ("--direction", "both", "--vlan", "7", "--size", "64", "--duration", "1s")
    _, report = finish(start(loop, "soak", *options))
    flood = report["trials"][0]
    assert [flow["direction"] for flow in flood["trial"]["flows"]] == ["a-b", "b-a"]
    assert {(flow["rate_pps"], flow["frame_bytes"]) for flow in flood["trial"]["flows"]} == {
        (None, 68)
    }
    assert all(flow["sent"] > 0 for flow in flood["flows"])


def test_a_service_that_is_more_than_the_link_is_refused(loop: Lab, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(PROFILE)
    options = ("--profile", str(tmp_path / "site.toml"), "--speed", "0.9Mbps")
    stdout, stderr = start(loop, "y1564", *options).communicate(timeout=TIMEOUT_S)
    assert stdout == b""
    assert b"service 'voice' has 1 Mbit/s of CIR and EIR, the link 900 kbit/s" in stderr


def test_a_port_that_is_down_is_said_to_be_down(loop: Lab) -> None:
    loop.left.run(tool("ip"), "link", "set", loop.left.port, "down")
    stdout, stderr = start(loop, "quick").communicate(timeout=TIMEOUT_S)
    assert stdout == b""
    assert f"{loop.left.port} is down; bring it up: ip link set".encode() in stderr


def test_a_service_is_tested_step_by_step(loop: Lab, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(PROFILE)
    options = ("--profile", str(tmp_path / "site.toml"), "--step", "1s", "--duration", "2s")
    code, report = finish(start(loop, "y1564", *options))
    assert code == 0
    (service,) = report["services"]
    assert [step["verdict"] for step in service["configuration"]] == ["ok"] * 4
    assert service["performance"]["figures"][0]["flr"] == 0
    assert "2 hours" in json.dumps(report["standard"]["deviations"])


def kill(loop: Lab, status: Json) -> None:
    os.kill(status["pid"], signal.SIGKILL)


def test_a_trial_that_is_spoiled_is_invalid_and_never_judged(loop: Lab, run_dir: Path) -> None:
    process = start(loop, *STEADY)
    kill(loop, running_engine(run_dir))
    code, report = finish(process)
    assert code == 1
    assert report["verdict"] == "invalid"
    assert "without a" in " ".join(report["reasons"])
    assert [trial["valid"] for trial in report["trials"]] == [False]


def test_a_test_ends_at_once_where_another_run_sends_by_its_port(loop: Lab, run_dir: Path) -> None:
    argv = ft_generate("-o", loop.left.port, "--duration", "60")
    with running(loop.left, argv, name="held"):
        stdout, stderr = start(loop, *STEADY).communicate(timeout=TIMEOUT_S)
    assert stdout == b""
    assert b"ft-generate 'held' sends by it already" in stderr.splitlines()[-1]
    assert list(run_dir.glob("linktest-*")) == []


def test_a_soak_goes_on_when_the_link_is_back(loop: Lab, run_dir: Path) -> None:
    process = start(loop, "soak", "--rate", "2kpps", "--duration", "15s")
    first = running_engine(run_dir)["pid"]
    loop.right.run(tool("ip"), "link", "set", loop.right.port, "down")
    wait_until("the first engine gives up", lambda: not Path(f"/proc/{first}/exe").exists())
    loop.right.run(tool("ip"), "link", "set", loop.right.port, "up")
    code, report = finish(process)
    assert code == 3
    assert report["verdict"] == "fail"
    assert any("link down" in reason for reason in report["reasons"])
    (outage,) = report["soak"]["outages"]
    assert loop.left.port in outage["ports"]
    assert outage["from_ns"] < outage["to_ns"]
    assert [trial["valid"] for trial in report["trials"]] == [False, True]
    assert report["soak"]["sent"] == sum(
        flow["sent"] for trial in report["trials"] for flow in trial["flows"]
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_test_ends_its_engine_and_reports(
    loop: Lab, run_dir: Path, number: signal.Signals
) -> None:
    process = start(loop, *STEADY)
    status = running_engine(run_dir)
    process.send_signal(number)
    code, report = finish(process)
    assert code == 1
    assert report["interrupted"] is True
    assert report["verdict"] == "invalid"
    assert not Path(f"/proc/{status['pid']}/exe").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("loss", "--sizes", "63"), "--sizes: '63' is not a frame size"),
        (("loss", "--sizes", "9018"), "9018 bytes do not fit"),  # above the MTU
        (("loss", "--limit", "nonsense=1"), "--limit nonsense: there are"),
        (("loss", "--limit", "loss=2"), "--limit loss: '2' is not a share"),
        (("loss", "--precision", "1"), "--precision: '1' is not a share"),
        (("soak", "--rate", "fast"), "--rate: 'fast' is not a rate"),
        (("soak", "--size", "10"), "--size: '10' is not a frame size"),
        (("soak", "--allow", "2"), "--allow: '2' is not a share"),
        (("soak", "--duration", "0s"), "--duration: '0s' is not a time"),
        (("quick", "--speed", "fast"), "--speed: 'fast' is not a bit rate"),
        (("y1564", "--profile", "/no/such/file"), "--profile /no/such/file: No such"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    loop: Lab, options: tuple[str, ...], said: str
) -> None:
    process = start(loop, *options)
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 2
    assert stdout == b""
    (line,) = stderr.decode().splitlines()
    assert said in line
