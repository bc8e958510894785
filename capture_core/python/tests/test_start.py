"""Starting an engine that outlives its starter."""

import os
import signal
from pathlib import Path

import pytest
from fieldtap_core import programs, start
from fieldtap_core.errors import EngineError, StartError

EngineUnderTest = tuple[Path, str]


def test_a_started_engine_has_a_session_of_its_own_and_no_terminal(running: start.Started) -> None:
    assert running.status is not None
    assert os.getsid(running.pid) == running.pid != os.getsid(0)
    assert Path(f"/proc/{running.pid}/fd/0").readlink() == Path("/dev/null")
    assert Path(f"/proc/{running.pid}/fd/2").readlink() == running.log


def test_a_name_in_use_is_refused_and_the_running_engine_keeps_its_log(
    running: start.Started, engine: EngineUnderTest
) -> None:
    before = running.log.stat().st_ino
    with pytest.raises(StartError, match="in use"):
        start.start(engine[0], "tap", ["-i", engine[1], "-w", "other.pcapng"])
    assert running.log.stat().st_ino == before


def test_a_port_that_does_not_exist_gives_the_engines_own_line_and_exit_code(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    options = ["-i", "missing", "-w", str(tmp_path / "x.pcapng")]
    with pytest.raises(StartError, match=r"^ft-capture: .*missing") as raised:
        start.start(engine[0], "tap", options)
    assert raised.value.exit_code == 2


def test_an_engine_that_fails_without_a_word_is_still_reported(standin: EngineUnderTest) -> None:
    with pytest.raises(StartError, match="exit code 1 without a word"):
        start.start(standin[0], "tap", ["-i", "wordless"])


def test_an_engine_that_finished_at_once_is_no_error(standin: EngineUnderTest) -> None:
    started = start.start(standin[0], "tap", ["-i", "quick", "-w", "x.pcapng"])
    assert started.status is None
    assert started.exit_code == 0
    assert started.report.exists()


def test_a_report_that_an_earlier_run_left_is_not_taken_for_this_ones(
    engine: EngineUnderTest, run_dir: Path
) -> None:
    (run_dir / "tap.report.json").write_text("{}")
    started = start.start(engine[0], "tap", ["-i", engine[1], "-w", "null:"])
    os.kill(started.pid, signal.SIGKILL)
    os.waitpid(started.pid, 0)
    assert not started.report.exists()


def test_the_callers_own_report_file_is_used(standin: EngineUnderTest, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    started = start.start(standin[0], "tap", ["-i", "quick", "--report", str(own)])
    assert started.report == own
    assert own.exists()


def test_a_log_is_never_written_through_somebodys_link(
    standin: EngineUnderTest, run_dir: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (run_dir / "tap.log").symlink_to(victim)
    start.start(standin[0], "tap", ["-i", "quick"])
    assert victim.read_text() == "precious"


def test_without_a_writable_run_directory_the_way_out_is_said(
    standin: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDTAP_RUN_DIR", "/proc/nowhere")
    monkeypatch.setattr("fieldtap_core.rundirs.SYSTEM_RUN_DIR", Path("/proc/neither"))
    with pytest.raises(EngineError, match="set FIELDTAP_RUN_DIR"):
        start.start(standin[0], "tap", ["-i", "quick"])


def test_programs_are_searched_where_the_override_points(
    standin: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDTAP_BIN_DIR", str(standin[0].parent))
    assert programs.find_program("ft-capture") == standin[0]
    with pytest.raises(EngineError, match="where FIELDTAP_BIN_DIR points"):
        programs.find_program("ft-generate")


def test_programs_beside_the_running_one_come_before_path(
    standin: EngineUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FIELDTAP_BIN_DIR", raising=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/ft-capture").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    monkeypatch.setattr("sys.argv", [str(tmp_path / "fieldtap")])
    assert programs.find_program("ft-capture") == standin[0]
    monkeypatch.setattr("sys.argv", [str(tmp_path / "elsewhere/fieldtap")])
    assert programs.find_program("ft-capture") == tmp_path / "other/ft-capture"
