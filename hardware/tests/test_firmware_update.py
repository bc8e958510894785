"""The flow of a firmware update on a fake adapter with fake tools; its own process is real."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import fake_adapter
import fake_machine
import pytest
from fieldtap_hardware.firmware_steps import STEPS
from fieldtap_hardware.journal import Journal

HERE = Path(__file__).parent
DRIVERS = {"devlink": "ice", "sfupdate": "sfc", "mstflint": "mlx5_core"}
TIMEOUT_S = 60


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / "fake_machine.py"), str(folder), *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def read_until(process: "subprocess.Popen[str]", *sentences: str) -> str:
    """Read what it says until it has said all sentences; fail if it ends before."""
    assert process.stderr is not None
    said = ""
    while not all(sentence in said for sentence in sentences):
        line = process.stderr.readline()
        assert line, f"it ended before it said {sentences}: {said}"
        said += line
    return said


def run(folder: Path, *words: str) -> dict[str, Any]:
    """Run the flow to its end; its report, empty where it was killed."""
    output, errors = (process := start(folder, *words)).communicate(timeout=TIMEOUT_S)
    assert process.returncode in (0, -signal.SIGKILL), errors
    return dict(json.loads(output)) if output else {}


def journal(folder: Path) -> list[tuple[str, str]]:
    """Steps and events of the only journal."""
    (path,) = folder.glob("state/*/journal.jsonl")
    lines = path.read_text().splitlines()
    return [(entry["step"], entry["event"]) for entry in map(json.loads, lines)]


def device(folder: Path) -> dict[str, Any]:
    return fake_adapter.read(folder / "adapter.json")


def assert_cleared(folder: Path) -> None:
    """No copy of an image is left, the ports are as before, and the journal is filed."""
    assert not (folder / "state/open").exists()
    assert list((folder / "firmware").iterdir()) == []
    assert list(folder.glob("state/*/image")) == []
    assert device(folder)["up"] is True
    assert journal(folder)[-1] == ("finish", "end")


# --- from the first step to the last --------------------------------------------------------------


@pytest.mark.parametrize("tool", DRIVERS)
def test_every_tool_goes_through_the_same_steps(tmp_path: Path, tool: str) -> None:
    fake_machine.make_folder(tmp_path, tool, DRIVERS[tool])
    report = run(tmp_path, "update")
    ended = [step for step, event in journal(tmp_path) if event == "end"]
    assert ended == ["plan", *STEPS, "finish"]
    assert device(tmp_path)["stored"] == "2.0.0"
    assert device(tmp_path)["writes"] == 1
    runs = tool != "sfupdate"  # it has no way to activate: that takes a power cycle
    assert report["outcome"] == ("done" if runs else "stored")
    assert runs or "not running" in report["summary"]
    assert runs or "off and on" in report["remedy"]
    assert_cleared(tmp_path)


def test_what_stores_without_activating_is_told_as_stored(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", activates=False)
    report = run(tmp_path, "update")
    assert report["outcome"] == "stored"
    assert device(tmp_path)["running"] == "1.0.0"


def test_a_part_whose_version_is_another_does_not_speak_against_the_whole(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", parts=True)
    report = run(tmp_path, "update")
    assert (report["outcome"], report["confirmed_by"]) == ("done", ["ethtool ioctl"])
    assert device(tmp_path)["writes"] == 1
    assert_cleared(tmp_path)


def test_a_tool_that_can_saves_what_was_there(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "mstflint", "mlx5_core")
    report = run(tmp_path, "update")
    assert (Path(report["journal"]) / "backup").read_text() == "1.0.0"


def test_an_image_that_is_a_folder_is_unpacked_beside_the_journal(tmp_path: Path) -> None:
    image = fake_machine.make_folder(tmp_path, "nvmupdate64e", "i40e", mode="reset")
    (tmp_path / "version").write_text("2.0.0\n")
    (tmp_path / "nvmupdate.cfg").touch()
    with tarfile.open(image, "w") as packed:
        for name in ("version", "nvmupdate.cfg"):
            packed.add(tmp_path / name, name)
    fake_machine.write_manifest(image, "nvmupdate64e")
    report = run(tmp_path, "update")
    assert (report["outcome"], report["confirmed_by"]) == ("done", ["ethtool ioctl"])
    assert_cleared(tmp_path)


def test_an_image_that_is_no_folder_is_rolled_back_where_one_is_needed(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "nvmupdate64e", "i40e")
    assert run(tmp_path, "update")["outcome"] == "rolled_back"
    assert device(tmp_path)["writes"] == 0


def test_a_packed_image_that_is_cut_short_is_rolled_back(tmp_path: Path) -> None:
    image = fake_machine.make_folder(tmp_path, "nvmupdate64e", "i40e")
    (tmp_path / "version").write_bytes(os.urandom(100_000))
    with tarfile.open(image, "w:gz") as packed:
        packed.add(tmp_path / "version", "version")
    image.write_bytes(image.read_bytes()[:50_000])
    fake_machine.write_manifest(image, "nvmupdate64e")
    report = run(tmp_path, "update")
    assert report["outcome"] == "rolled_back"
    assert "ended before the end" in report["summary"]
    assert_cleared(tmp_path)


def test_what_nothing_else_tells_of_is_unverified(tmp_path: Path) -> None:
    """nvmupdate64e's inventory is not read here, and the driver tells only what runs."""
    image = fake_machine.make_folder(tmp_path, "nvmupdate64e", "i40e")
    (tmp_path / "version").write_text("2.0.0\n")
    with tarfile.open(image, "w") as packed:
        packed.add(tmp_path / "version", "version")
        packed.add(tmp_path / "version", "nvmupdate.cfg")
    fake_machine.write_manifest(image, "nvmupdate64e")
    report = run(tmp_path, "update")
    assert report["outcome"] == "unverified"
    assert "nothing else tells" in report["summary"]


def test_a_thunderbolt_controller_is_updated_by_fwupd(tmp_path: Path) -> None:
    image = fake_machine.make_folder(tmp_path, "fwupdmgr", "ice", mode="reset")
    fake_machine.write_manifest(image, "fwupdmgr", device=fake_adapter.CONTROLLER)
    report = run(tmp_path, "update")
    assert (report["outcome"], report["confirmed_by"]) == ("done", ["fwupdmgr"])
    assert_cleared(tmp_path)


def test_a_clock_that_the_new_firmware_does_not_have_is_told(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", clock_after=False)
    assert "the clock of eth2 is gone" in run(tmp_path, "update")["summary"]


# --- tools that fail ------------------------------------------------------------------------------


def test_a_refusal_that_touched_nothing_is_rolled_back(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", mode="refuse")
    report = run(tmp_path, "update")
    assert report["outcome"] == "rolled_back"
    assert "failed to locate" in report["summary"]
    assert device(tmp_path)["writes"] == 0
    assert_cleared(tmp_path)


@pytest.mark.parametrize(("mode", "words"), [("fail", "exit code 1"), ("silent", "still tells")])
@pytest.mark.parametrize("tool", DRIVERS)
def test_a_write_that_failed_stays_open_until_it_is_written_again(
    tmp_path: Path, tool: str, mode: str, words: str
) -> None:
    fake_machine.make_folder(tmp_path, tool, DRIVERS[tool], mode=mode)
    report = run(tmp_path, "update")
    assert report["outcome"] == "stuck"
    assert words in report["summary"]
    assert "do not switch off" in report["remedy"]
    assert device(tmp_path)["up"] is False
    again = run(tmp_path, "resume")
    assert again["outcome"] == "stuck"
    assert device(tmp_path)["writes"] == 2
    fake_adapter.change(tmp_path / "adapter.json", mode="good")
    assert run(tmp_path, "resume")["outcome"] in ("done", "stored")
    assert device(tmp_path)["stored"] == "2.0.0"
    assert_cleared(tmp_path)


def test_words_cut_off_do_not_matter_where_another_path_tells_the_version(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", mode="truncated")
    assert run(tmp_path, "update")["outcome"] == "done"


def test_a_writer_that_hangs_is_told_of_and_waited_for_and_survives_ctrl_c(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", mode="hang")
    process = start(tmp_path, "update")
    said = read_until(process, "seems stuck", "Flashing")
    assert "still writing" in said
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    read_until(process, "SIGINT is ignored")
    (tmp_path / "go").touch()
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert json.loads(output)["outcome"] == "done"


# --- kill -9 in each step -------------------------------------------------------------------------

BEFORE_WRITE = ("plan", "precheck", "lock", "quiesce", "backup")
POINTS = [
    (step, event, when)
    for step in ("plan", *STEPS, "finish")
    for event, when in (("begin", "after"), ("end", "before"), ("end", "after"))
]


@pytest.mark.parametrize(("step", "event", "when"), POINTS)
def test_after_kill_9_in_any_step_the_next_run_completes_or_rolls_back(
    tmp_path: Path, step: str, event: str, when: str
) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice")
    assert run(tmp_path, "update", step, event, when) == {}
    if (step, event, when) == ("finish", "end", "before"):
        assert journal(tmp_path)[-1] == ("finish", "begin")
    report = run(tmp_path, "resume")
    nothing_written = step in BEFORE_WRITE or (step, event) == ("write", "begin")
    assert report["outcome"] == ("rolled_back" if nothing_written else "done")
    version = "1.0.0" if nothing_written else "2.0.0"
    assert (device(tmp_path)["running"], device(tmp_path)["stored"]) == (version, version)
    assert device(tmp_path)["writes"] == (0 if nothing_written else 1)
    assert_cleared(tmp_path)


def test_a_lost_copy_of_the_image_is_taken_anew_and_never_told_as_nothing_written(
    tmp_path: Path,
) -> None:
    image = fake_machine.make_folder(tmp_path, "devlink", "ice")
    run(tmp_path, "update", "write", "note", "after")
    (tmp_path / "state/open/image").unlink()
    image.rename(tmp_path / "elsewhere")
    report = run(tmp_path, "resume")
    assert report["outcome"] == "stuck"
    assert f"put the image back at {image}" in report["remedy"]
    (tmp_path / "elsewhere").rename(image)
    assert run(tmp_path, "resume")["outcome"] == "done"
    assert_cleared(tmp_path)


def test_an_interruption_while_verifying_does_not_write_again(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice")
    run(tmp_path, "update", "verify", "begin", "after")
    stuck = Journal(tmp_path / "state/open/journal.jsonl")
    stuck.append("stuck", "note", {"step": "verify", "why": "interrupted", "flash_is_wrong": False})
    stuck.close()
    assert run(tmp_path, "resume")["outcome"] == "done"
    assert device(tmp_path)["writes"] == 1


def test_a_journal_whose_first_line_is_torn_stands_in_nobodys_way(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice")
    (tmp_path / "state/open").mkdir(parents=True)
    (tmp_path / "state/open/journal.jsonl").write_bytes(b'{"number":0,\0\0\0\n')
    assert run(tmp_path, "update")["outcome"] == "done"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_that_was_not_let_go_writes_nothing(tmp_path: Path, when: str) -> None:
    """Killed as the writer's process is put down: it waits for a word that never comes."""
    fake_machine.make_folder(tmp_path, "devlink", "ice")
    assert run(tmp_path, "update", "write", "note", when) == {}
    assert device(tmp_path)["writes"] == 0
    report = run(tmp_path, "resume")
    # Put down, it may have written: nobody can tell, so the image is written.
    assert report["outcome"] == ("rolled_back" if when == "before" else "done")
    assert_cleared(tmp_path)


def test_a_writer_outlives_the_flow_and_the_next_run_waits_for_it(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", mode="hang")
    first = start(tmp_path, "update")
    wait_for_write(tmp_path)
    first.kill()
    first.communicate(timeout=TIMEOUT_S)
    second = start(tmp_path, "resume")
    read_until(second, "still writing")
    (tmp_path / "go").touch()
    output, _ = second.communicate(timeout=TIMEOUT_S)
    assert json.loads(output)["outcome"] == "done"
    assert device(tmp_path)["writes"] == 1
    assert_cleared(tmp_path)


def test_a_writer_that_is_killed_has_its_image_written_again(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", mode="hang")
    process = start(tmp_path, "update")
    wait_for_write(tmp_path)
    entries = (tmp_path / "state/open/journal.jsonl").read_text().splitlines()
    session = json.loads(entries[-1])["data"]["writer"]["session"]
    os.killpg(session, signal.SIGKILL)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert json.loads(output)["outcome"] == "stuck"
    assert device(tmp_path)["stored"] == "half written"
    (tmp_path / "go").touch()
    assert run(tmp_path, "resume")["outcome"] == "done"
    assert device(tmp_path)["writes"] == 2
    assert_cleared(tmp_path)


def wait_for_write(folder: Path) -> None:
    while device(folder)["stored"] != "half written":
        time.sleep(0.02)


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_a_journal_with_a_torn_end_is_read_up_to_there(tmp_path: Path, kept: int) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice")
    run(tmp_path, "update", "quiesce", "end", "after")
    path = tmp_path / "state/open/journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:kept])
    assert run(tmp_path, "resume")["outcome"] == "rolled_back"
    assert_cleared(tmp_path)


def test_nothing_is_written_again_on_battery(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", mode="fail")
    assert run(tmp_path, "update")["outcome"] == "stuck"
    (tmp_path / "power/AC/online").write_text("0\n")
    resumed = start(tmp_path, "resume")
    _, errors = resumed.communicate(timeout=TIMEOUT_S)
    assert resumed.returncode == 1
    assert "plug the machine in" in errors
    assert device(tmp_path)["writes"] == 1


def test_two_updates_at_a_time_are_refused(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice", mode="hang")
    first = start(tmp_path, "update")
    wait_for_write(tmp_path)
    second = start(tmp_path, "update")
    _, errors = second.communicate(timeout=TIMEOUT_S)
    assert second.returncode == 1
    assert "another update runs" in errors
    (tmp_path / "go").touch()
    first.communicate(timeout=TIMEOUT_S)


def test_an_unfinished_update_must_be_resumed_first(tmp_path: Path) -> None:
    fake_machine.make_folder(tmp_path, "devlink", "ice")
    run(tmp_path, "update", "verify", "begin", "after")
    second = start(tmp_path, "update")
    _, errors = second.communicate(timeout=TIMEOUT_S)
    assert second.returncode == 1
    assert "--resume" in errors
