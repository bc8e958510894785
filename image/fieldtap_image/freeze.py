"""Freeze the console into one folder without need of Python: `python -m fieldtap_image.freeze DIR`.

Leaves DIR/fieldtap/fieldtap. Does nothing when nothing that it depends on has changed.
"""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from fieldtap_image import commands, progress
from fieldtap_image.cache import digest, digest_tree
from fieldtap_image.errors import ImageError

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = (
    PROJECT / "tui" / "fieldtap",
    PROJECT / "capture_core" / "python" / "fieldtap_core",
    PROJECT / "hardware" / "fieldtap_hardware",
    PROJECT / "requirements" / "runtime.txt",
    PROJECT / "pyproject.toml",
    Path(__file__).resolve(),
)
TIMEOUT_S = 900
# What the standard library and Rich can do and the console does not.
LEFT_OUT = ("tkinter", "unittest", "pydoc_data", "lib2to3", "IPython", "setuptools", "pip")


def freeze(outdir: Path) -> bool:
    """Make OUTDIR/fieldtap/; returns False where it was there already. Raises `ImageError`."""
    stamp = outdir / "inputs.sha256"
    inputs = digest(digest_tree(SOURCES), platform.python_version())
    program = outdir / "fieldtap" / "fieldtap"
    if program.exists() and stamp.exists() and stamp.read_text() == inputs:
        return False
    work = outdir / "work"
    shutil.rmtree(outdir, ignore_errors=True)
    work.mkdir(parents=True)
    excludes = [word for module in LEFT_OUT for word in ("--exclude-module", module)]
    # PyInstaller reads folders; it does not ask the finder of an editable installation.
    folders = [source.parent for source in SOURCES if source.is_dir()]
    paths = [word for folder in folders for word in ("--paths", folder)]
    commands.run(
        [
            *(sys.executable, "-m", "PyInstaller", "--onedir", "--noconfirm", "--clean"),
            *("--name", "fieldtap", "--log-level", "WARN", "--strip", "--noupx"),
            *("--distpath", outdir, "--workpath", work, "--specpath", work),
            *("--collect-data", "fieldtap", "--collect-data", "fieldtap_hardware"),
            *("--collect-data", "pygal", "--copy-metadata", "fieldtap"),
            *("--collect-submodules", "MLRsearch", "--copy-metadata", "MLRsearch"),
            *excludes,
            *paths,
            PROJECT / "tui" / "fieldtap" / "__main__.py",
        ],
        timeout_s=TIMEOUT_S,
        log=outdir / "freeze.log",
        environment={"PYTHONHASHSEED": "0"},
        hint="binutils must be installed: setup/system build test image",
    )
    shutil.rmtree(work)
    said = commands.run([program, "--version"], timeout_s=60)
    if "fieldtap" not in said:
        raise ImageError(f"{program} --version says {said!r}", hint=f"see {outdir}/freeze.log")
    stamp.write_text(inputs)
    return True


def main() -> None:
    """Freeze into the folder named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m fieldtap_image.freeze OUTDIR")
    try:
        with progress.step("freeze", "the console, in one folder"):
            freeze(Path(sys.argv[1]).resolve())
    except ImageError as error:
        sys.exit(f"freeze: {error}")


if __name__ == "__main__":
    main()
