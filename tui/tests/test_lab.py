"""The lab link, made in a network namespace of the test's own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

Call = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]


@pytest.fixture
def inside() -> Iterator[Call]:
    """Run a command in a new network namespace."""
    name = f"ftlab{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("this machine makes no network namespaces")

    def call(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", name, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    try:
        if call("true").returncode != 0:
            pytest.skip("`ip netns exec` cannot show a namespace its own /sys here")
        yield call
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def fieldtap(inside: Call, *arguments: str) -> subprocess.CompletedProcess[str]:
    return inside(sys.executable, "-m", "fieldtap", *arguments)


def test_the_lab_link_is_up_silent_and_takes_jumbo_frames(inside: Call) -> None:
    assert fieldtap(inside, "lab", "up").returncode == 0
    for port in ("ftlab0", "ftlab1"):
        shown = inside("ip", "addr", "show", port).stdout
        assert "state UP" in shown
        assert "mtu 9216" in shown
        assert "inet" not in shown


def test_no_port_of_the_lab_link_joins_or_cuts_frames(inside: Call) -> None:
    fieldtap(inside, "lab", "up")
    for port in ("ftlab0", "ftlab1"):
        features = inside("ethtool", "-k", port).stdout
        if not features:
            pytest.skip("needs ethtool")
        for feature in (
            "tx-checksumming",
            "generic-segmentation-offload",
            "generic-receive-offload",
        ):
            assert f"{feature}: off" in features


def test_up_and_down_can_be_repeated(inside: Call) -> None:
    for command, words in (
        ("up", "are up"),
        ("up", "up already"),
        ("down", "is removed"),
        ("down", "there is no lab link"),
    ):
        done = fieldtap(inside, "lab", command)
        assert done.returncode == 0
        assert words in done.stderr


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_port_that_somebody_else_called_ftlab0_is_left_alone(inside: Call, command: str) -> None:
    inside("ip", "link", "add", "ftlab0", "type", "veth", "peer", "name", "ftlab1")
    done = fieldtap(inside, "lab", command)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "not a lab link of ours" in done.stderr
    assert inside("ip", "link", "show", "ftlab0").returncode == 0


def test_without_privilege_one_line_says_what_to_do(inside: Call) -> None:
    done = inside(
        "setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps", "-all",
        "--bounding-set", "-all", sys.executable, "-m", "fieldtap", "lab", "up",
    )  # fmt: skip
    if "fieldtap: " not in done.stderr:
        pytest.skip("another user cannot run this Python")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "as root or with sudo" in done.stderr
