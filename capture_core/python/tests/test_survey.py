"""Finding engines among whatever lies in the RUN directories."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fieldtap_core import control, start, survey
from fieldtap_core.errors import EngineError

EngineUnderTest = tuple[Path, str]
Talk = Callable[[str, Callable[[socket.socket], object]], Path]


def kill(started: start.Started) -> None:
    """End an engine without giving it a chance to clean up."""
    os.kill(started.pid, signal.SIGKILL)
    os.waitpid(started.pid, 0)


def test_a_running_engine_is_found_and_where_was_searched_is_said(
    running: start.Started, run_dir: Path
) -> None:
    found = survey.look()
    assert [engine.status.name for engine in found.engines] == ["tap"]
    assert found.problems == ()
    assert found.searched == (run_dir,)


def test_engines_in_every_run_directory_are_found(
    standin: EngineUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    for name in ("one", "two"):
        monkeypatch.setenv("FIELDTAP_RUN_DIR", str(tmp_path / name))
        started.append(start.start(standin[0], name, ["-i", "ftlab0", "-w", "x.pcapng"]))
    monkeypatch.setattr("fieldtap_core.rundirs.SYSTEM_RUN_DIR", tmp_path / "one")
    found = survey.look()
    assert [engine.status.name for engine in found.engines] == ["one", "two"]
    for engine in started:
        kill(engine)


def test_what_a_killed_engine_left_is_removed_and_reported(
    running: start.Started, run_dir: Path
) -> None:
    kill(running)
    problem = survey.look().problems[0]
    assert problem.path == run_dir / "tap/control.sock"
    assert problem.text == "its engine is gone; removed"
    assert not (run_dir / "tap").exists()
    assert survey.look().problems == ()


def test_a_dead_socket_beside_other_files_loses_only_the_socket(
    running: start.Started, run_dir: Path
) -> None:
    kill(running)
    (run_dir / "tap/notes").touch()
    assert "cannot all be removed" in survey.look().problems[0].text
    assert (run_dir / "tap/notes").exists()
    assert not (run_dir / "tap/control.sock").exists()


def test_a_hanging_and_a_babbling_socket_hide_no_engine(
    running: start.Started, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ANSWER_TIMEOUT_S", 0.2)
    talk("babbling", lambda client: client.sendall(b"\xff\n"))
    talk("hanging", lambda client: [client.recv(1) for _ in range(1000)])
    found = survey.look()
    assert [engine.status.name for engine in found.engines] == ["tap"]
    assert {problem.path.parent.name for problem in found.problems} == {"babbling", "hanging"}


def test_an_unknown_name_is_answered_with_the_running_names(running: start.Started) -> None:
    with pytest.raises(EngineError, match=r"no engine named tip runs \(running: tap"):
        survey.find("tip")


def test_a_name_cannot_leave_the_run_directory() -> None:
    with pytest.raises(EngineError, match="cannot name an engine"):
        survey.find("../etc")


def test_without_any_run_directory_nothing_runs(run_dir: Path) -> None:
    run_dir.rmdir()
    assert survey.look() == survey.Survey((), (), ())
