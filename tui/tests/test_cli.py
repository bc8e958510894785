"""The command line as a user calls it: exit codes, one-line errors, what is imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

FIELDTAP = [sys.executable, "-m", "fieldtap"]


def call(*arguments: str, run_dir: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `fieldtap` with its own RUN directory."""
    environment = dict(os.environ)
    if run_dir is not None:
        environment["FIELDTAP_RUN_DIR"] = str(run_dir)
    return subprocess.run(
        [*FIELDTAP, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )


def test_without_a_terminal_and_a_command_it_prints_help() -> None:
    done = call()
    assert done.returncode == 0
    assert "capture" in done.stdout


@pytest.mark.parametrize(
    "command",
    ["ports", "check", "lab up", "capture start", "capture stop", "capture rotate", "capture keep"],
)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    done = call(*command.split(), "--help")
    assert done.returncode == 0
    assert f"fieldtap {command.split()[0]}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nonsense",), 2),
        (("ports", "--nonsense"), 2),
        (("check", "no-such-port"), 2),
        (("capture", "stop", "nobody"), 1),
        (("capture", "rotate", "nobody"), 1),
        (("capture", "keep", "no-such-file"), 2),
        (("capture", "start", "../x", "-i", "lo", "-w", "null:"), 1),
        (("capture", "start", "x", "-i", "lo", "-w", "null:", "--name", "y"), 2),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    done = call(*arguments, run_dir=tmp_path)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("fieldtap: ")
    assert done.stdout == ""


def test_ports_as_json_name_their_schema() -> None:
    value = json.loads(call("ports", "--json").stdout)
    assert value["schema"] == "fieldtap.ports/1"
    assert all("name" in port for port in value["ports"])


def test_a_failed_check_exits_with_three(tmp_path: Path) -> None:
    done = call("check", "--json", "--dir", str(tmp_path / "missing"))
    report = msgspec.json.decode(done.stdout)
    assert report["schema"] == "fieldtap.check/1"
    assert report["verdict"] == "fail"
    assert done.returncode == 3


def test_no_engine_is_an_answer_and_not_an_error(tmp_path: Path) -> None:
    done = call("capture", "list", "--json", run_dir=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["schema"] == "fieldtap.engines/1"


INTERRUPTED_WHILE_LOADING = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "fieldtap.command_line":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from fieldtap.__main__ import main
main()
"""


def test_an_interrupt_while_the_program_is_loaded_leaves_no_trace() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_LOADING],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr, done.stdout) == (130, b"", b"")


@pytest.mark.parametrize("arguments", [["--help"], ["capture", "list", "--json"]])
def test_no_command_line_use_imports_textual(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from fieldtap.command_line import run; run(sys.argv[1:]); "
        "sys.exit('textual' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        check=False,
        timeout=60,
        env=os.environ | {"FIELDTAP_RUN_DIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr


def test_output_that_has_nowhere_to_go_is_one_line() -> None:
    for arguments in (["ports"], ["ports", "--json"], ["check"], ["check", "--json"]):
        done = subprocess.run(
            ["sh", "-c", '"$@" >/dev/full', "sh", *FIELDTAP, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == "fieldtap: cannot write the output: No space left on device\n"


def test_a_closed_output_is_no_error() -> None:
    command = ["sh", "-c", '"$@" >&-', "sh", *FIELDTAP, "ports"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_glyphs_still_gets_the_words() -> None:
    done = subprocess.run(
        [*FIELDTAP, "check"],
        capture_output=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )
    assert b"ok  capabilities: " in done.stdout or b"fail  capabilities: " in done.stdout
    assert done.stderr == b""


def test_a_working_directory_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = ["sh", "-c", 'rmdir "$PWD"; "$@"', "sh", *FIELDTAP, "check"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=gone, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("fieldtap: the working directory is gone")
