"""Firmware updates of a devlink device in a guest: `netdevsim_scenarios` does, this judges."""

import signal

import pytest
from fieldlab import Json
from netdevsim_guest import run_scenarios

VERSION = "10.20.30"
BEFORE_WRITE = ("plan", "precheck", "lock", "quiesce", "backup")
STEPS = (*BEFORE_WRITE, "write", "verify", "activate", "postcheck", "finish")


@pytest.fixture(scope="module")
def told() -> Json:
    """What the guest told; from an earlier run where nothing has changed since."""
    return run_scenarios()


def assert_as_before(left: Json) -> None:
    """The device tells its version, its port is up, and nothing but a finished journal is left."""
    assert left["versions"] == {
        "running": {"fw.mgmt": VERSION},
        "stored": {"fw.mgmt": VERSION},
    }
    assert left["up"] == [True]
    assert left["copies"] == []
    assert left["open"] is False
    assert left["journal"][-1:] in ([], [["finish", "end"]])


def test_the_guest_runs_debian_13s_kernel(told: Json) -> None:
    assert "+deb13" in told["kernel"]


def test_devlink_tells_the_firmware(told: Json) -> None:
    read = told["command line"]["read"]
    assert read["exit_code"] == 0
    (firmware,) = read["report"]["firmware"]
    assert (firmware["running"], firmware["stored"]) == (VERSION, VERSION)
    assert (firmware["channel"], firmware["device"]) == ("devlink", "netdevsim1")


def test_the_command_refuses_plans_and_writes_once_it_is_confirmed(told: Json) -> None:
    calls = told["command line"]
    assert calls["refused"]["exit_code"] == 3
    verdicts = {check["id"]: check["verdict"] for check in calls["refused"]["report"]["checks"]}
    assert verdicts["update.direction"] == "fail"
    assert (verdicts["update.power"], verdicts["update.adapter"]) == ("unknown", "unknown")
    assert (calls["planned"]["exit_code"], calls["planned"]["report"]["outcome"]) == (0, "planned")
    assert calls["unconfirmed"]["exit_code"] == 2
    assert "not confirmed" in calls["unconfirmed"]["errors"]
    written = calls["written"]
    assert (written["exit_code"], written["report"]["outcome"]) == (0, "done")
    assert set(written["report"]["confirmed_by"]) == {"devlink", "ethtool ioctl"}
    assert "which proves less" in written["report"]["summary"]  # netdevsim has but one version
    assert_as_before(calls["left"])
    ended = [step for step, event in calls["left"]["journal"] if event == "end"]
    assert ended == list(STEPS)


@pytest.mark.parametrize(
    ("image", "outcome", "words"),
    [
        ("changed", "refused", "not the image that was pinned"),
        ("not found", "rolled_back", "failed to locate the requested firmware file"),
        ("component", "rolled_back", "selected component is not supported by this device"),
    ],
)
def test_a_bad_image_ends_with_the_adapter_as_it_was(
    told: Json, image: str, outcome: str, words: str
) -> None:
    found = told["bad images"][image]
    assert found["outcome"] == outcome
    assert words in found["summary"]
    assert_as_before(found["left"])


def test_a_flash_outlives_the_flow_and_the_next_run_completes_it(told: Json) -> None:
    found = told["flow killed"]
    assert found["killed"] is True
    assert found["second"]["outcome"] == "done"
    assert_as_before(found["left"])
    writes = [entry for entry in found["left"]["journal"] if entry == ["write", "note"]]
    assert len(writes) == 1  # it was waited for, not written again


def test_a_devlink_that_is_killed_leaves_a_journal_that_the_next_run_completes(told: Json) -> None:
    found = told["devlink killed"]
    assert (found["killed"], found["first"]) == (False, "stuck")
    assert found["second"]["outcome"] == "done"
    assert_as_before(found["left"])
    writes = [entry for entry in found["left"]["journal"] if entry == ["write", "note"]]
    assert len(writes) == 2


@pytest.mark.parametrize("event", ["begin", "end"])
@pytest.mark.parametrize("step", STEPS)
def test_after_kill_9_in_a_step_the_next_run_completes_or_rolls_back(
    told: Json, step: str, event: str
) -> None:
    found = told["steps"][f"{step} {event}"]
    assert found["first"] == {"signal": signal.SIGKILL}
    nothing_written = step in BEFORE_WRITE or (step, event) == ("write", "begin")
    assert found["second"]["outcome"] == ("rolled_back" if nothing_written else "done")
    assert_as_before(found["left"])
