"""`fieldtap firmware update` and `license install` as a user calls them, up to the adapter.

What they do to an adapter is tested beside the flow, and in a guest.
"""

import subprocess
import sys
from pathlib import Path

import pytest

MANIFEST = """
[[image]]
file = "new.bin"
version = "2.0.0"
tool = "devlink"
devices = ["1924:0903"]
sha256 = "{}"
"""


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fieldtap", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def image(folder: Path) -> str:
    path = folder / "new.bin"
    path.write_bytes(b"x")
    (folder / "firmware.toml").write_text(MANIFEST.format("a" * 64))
    return str(path)


@pytest.mark.parametrize("command", [("firmware", "update"), ("license", "install")])
def test_both_explain_themselves_with_an_example(command: tuple[str, ...]) -> None:
    done = call(*command, "--help")
    assert done.returncode == 0
    assert f"fieldtap {' '.join(command)} eth2" in done.stdout
    assert "--write" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "either --image FILE or --resume"),
        (["--image", "IMAGE", "--resume"], 2, "either"),
        (["--image", "/nonexistent/new.bin"], 2, "/nonexistent/new.bin: there is no such file"),
        (["--image", "/"], 2, "/: is not a file"),
        (["--image", "IMAGE", "--sha256", "b" * 64], 2, "--sha256 is not what"),
        (["--image", "IMAGE"], 2, "no port of an adapter is called 'nowhere'"),
        (["--resume", "--journal", "FOLDER"], 2, "no update is unfinished"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    given = {"IMAGE": image(tmp_path), "FOLDER": str(tmp_path)}
    done = call("firmware", "update", "nowhere", *(given.get(word, word) for word in arguments))
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_key_file_for_a_port_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = call("license", "install", "nowhere", str(tmp_path / "keys.txt"))
    assert done.returncode == 2
    assert "'nowhere'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_listing_firmware_and_licences_still_takes_no_subcommand() -> None:
    assert call("firmware", "--json").returncode == 0
    assert call("license", "--json").returncode == 0
