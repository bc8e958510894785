"""Wireshark's own test-suite: its source as the host's package sources have it, and one case run.

The suite tests the version that is installed. It is fetched once (some 47 MB) and its tests are
kept in `~/.cache/fieldtap/wireshark-suite/VERSION/`. Wireshark 4.0 has a runner of its own; later
versions use pytest.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fieldlab import End, LabError, tool

CACHE = Path("~/.cache/fieldtap/wireshark-suite").expanduser()
WRAPPER = Path(__file__).with_name("dumpcap_wrapper.py")
SOURCES = [Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d")]
MODULES = ["suite_capture.py", "suite_clopts.py"]
FETCH_TIMEOUT_S = 900
CASE_TIMEOUT_S = 120


def fetch() -> Path:
    """Return the folder of the suite. Raises `LabError` where its source cannot be had."""
    version = _installed_version()
    kept = CACHE / version.replace(":", "%")
    if not kept.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            tarball = _download(version, Path(folder))
            suite = Path(folder) / "suite"
            suite.mkdir()
            unpack = [tool("tar"), "-xf", str(tarball), "-C", str(suite), "--strip-components=2"]
            _run([*unpack, "--wildcards", "*/test/*"])
            suite.rename(kept)
    return kept


def programs(folder: Path) -> Path:
    """Make a folder of the programs that the suite drives, dumpcap being ours; return it."""
    folder.mkdir()
    dumpcap = folder / "dumpcap"
    dumpcap.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(WRAPPER)])} "$@"\n')
    dumpcap.chmod(0o755)
    (folder / "capinfos").symlink_to(tool("capinfos"))
    shutil.copy(tool("tshark"), folder)  # it runs the dumpcap beside its own file
    return folder


def cases_that_drive_dumpcap(suite: Path) -> list[str]:
    """Return the cases whose fixtures say that a dumpcap runs for them."""
    found: list[str] = []
    for module in MODULES:
        text = (suite / module).read_text()
        for name, fixtures in re.findall(r"^ +def (test_\w+)\(([^)]*)\)", text, re.MULTILINE):
            if re.search(r"cmd_dumpcap|capture_interface|check_capture|check_dumpcap", fixtures):
                found.append(name)
    return found


def run_case(end: End, suite: Path, path: Path, case: str) -> tuple[bool, str]:
    """Run one case with the programs at `path`, at `end`; return whether it passed, and its words.

    A case that the suite skips has not passed.
    """
    command: list[str | Path]
    if (suite / "test.py").exists():
        command = [sys.executable, suite / "test.py", "-v", "-p", path, case]
    else:
        command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-k", case]
        command += ["-c", os.devnull, "--rootdir", suite, "--program-path", path]
        command += [suite / module for module in MODULES]
    done = subprocess.run(
        end.command(*command),
        cwd=path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=CASE_TIMEOUT_S,
    )
    words = done.stdout + done.stderr
    passed = re.search(r"^(Ran 1 test in .*\n\nOK$|=+ 1 passed)", words, re.MULTILINE)
    return done.returncode == 0 and passed is not None, words


def _installed_version() -> str:
    command = [tool("dpkg-query"), "-W", "-f", "${source:Version}", "tshark"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout:
        raise LabError("the package tshark is not installed")
    return done.stdout


def _download(version: str, folder: Path) -> Path:
    """Fetch the source tarball by apt, from the host's own sources and without changing them."""
    sources = folder / "sources.list.d"
    sources.mkdir()
    for number, path in enumerate(_source_files()):
        text = path.read_text()
        if path.suffix == ".sources":
            text = re.sub(r"(?m)^Types:.*$", "Types: deb-src", text)
        else:
            text = re.sub(r"(?m)^deb\s", "deb-src ", text)
        (sources / f"{number}{path.suffix}").write_text(text)
    lists, cache = folder / "lists", folder / "cache"
    for path in (lists, cache):
        (path / "partial").mkdir(parents=True)
    options = {
        "Dir::Etc::SourceList": os.devnull,
        "Dir::Etc::SourceParts": sources,
        "Dir::State::Lists": lists,
        "Dir::Cache": cache,
        "APT::Sandbox::User": "root",
    }
    apt = [tool("apt-get"), "-q", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*apt, "update"])
    _run([*apt, "source", "--download-only", f"wireshark={version}"], folder)
    tarballs = list(folder.glob("wireshark_*.orig.tar.*[!c]"))
    if len(tarballs) != 1:
        raise LabError(f"the source of wireshark {version} has no tarball of its own")
    return tarballs[0]


def _source_files() -> list[Path]:
    single, folder = SOURCES
    found = [*folder.glob("*.sources"), *folder.glob("*.list")]
    return sorted(found) + ([single] if single.exists() else [])


def _run(command: list[str], folder: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"Wireshark's source cannot be had: {command[0]} took too long") from None
    if done.returncode != 0:
        lines = done.stderr.splitlines() or ["no word"]
        raise LabError(f"Wireshark's source cannot be had: {lines[-1]}")
