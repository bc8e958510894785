"""The one place that runs external programs."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from fieldtap_image.errors import ImageError

LAST_LINES = 15


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    timeout_s: float,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    hint: str = "",
) -> str:
    """Run a program to its end and return its standard output.

    With `log`, standard output and error go to that file instead and "" is returned. `environment`
    is added to our own. ImageError with the command line and the program's last lines when it is
    absent, fails or takes longer than `timeout_s`.
    """
    words = [os.fspath(word) for word in argv]
    environ = {**os.environ, **(environment or {})}
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") if log else nullcontext(subprocess.PIPE) as sink:
            result = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT if log else subprocess.PIPE,
                env=environ,
                cwd=folder,
                timeout=timeout_s,
                check=False,
            )
    except FileNotFoundError as error:
        raise ImageError(
            f"{words[0]}: not installed", hint=hint or "setup/system build test image"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(
            f"{shlex.join(words)}: not done after {timeout_s:.0f} s", hint=hint
        ) from error
    if result.returncode != 0:
        complaint = log.read_bytes() if log else result.stderr
        lines = complaint.decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        last_words = "".join(f"\n  | {line}" for line in lines)
        where = f" (all of it in {log})" if log else ""
        raise ImageError(
            f"{shlex.join(words)}: exit code {result.returncode}{where}{last_words}", hint=hint
        )
    return "" if log else result.stdout.decode(errors="replace")
