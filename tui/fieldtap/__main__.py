"""Entry point: from the first moment on, an interrupt ends the program with a code, not a trace."""

import io
import os
import signal
import sys
from pathlib import Path
from types import FrameType

INTERRUPTED = 130


def main() -> None:
    """Run the command line; never returns."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)  # importing takes longest, and nothing runs yet
    _open_output()
    from fieldtap.command_line import run

    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def _open_output() -> None:
    """See that every word can be printed: on a closed stream, and where glyphs are missing."""
    nowhere = Path(os.devnull)
    sys.stdout = sys.stdout or nowhere.open("w")  # None where it was closed
    sys.stderr = sys.stderr or nowhere.open("w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
