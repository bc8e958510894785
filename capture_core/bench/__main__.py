"""Print every table, or those named: `make bench`, `make bench ONLY="synth disk"`."""

import signal
import sys

from fieldlab import LabError

from capture_core.bench import (
    capture,
    disk,
    extract,
    generate,
    lossless,
    replay,
    streams,
    synth,
)

SECTIONS = {
    "synth": synth.main,
    "disk": disk.main,
    "capture": capture.main,
    "lossless": lossless.main,
    "backends": capture.main_backends,
    "extract": extract.main,
    "generate": generate.main,
    "streams": streams.main,
    "replay": replay.main,
}


def main(names: list[str]) -> None:
    """Run the sections named, or all. Exits with the reason where one cannot run."""
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        sys.exit(f"bench: no section {unknown[0]}: there are {', '.join(SECTIONS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that links and folders are removed
    for name in names or SECTIONS:
        try:
            SECTIONS[name]()
        except (LabError, RuntimeError) as error:
            sys.exit(f"bench: {name}: {error}")
        sys.stdout.write("\n")


main(sys.argv[1:])
