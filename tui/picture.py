"""Draw docs/console.svg: the console showing a real capture of the lab link.

`build/venv/bin/python tui/picture.py`, as root. Run it when the screens change.
"""

import asyncio
import os
import re
import subprocess
import tempfile
from pathlib import Path

from fieldtap import captures, lab
from fieldtap.app import FieldtapApp

PROJECT = Path(__file__).resolve().parents[1]
PROGRAMS = PROJECT / "build" / "bin"
PICTURE = PROJECT / "docs" / "console.svg"
NAME = "core-tap"
FRAMES_A_SECOND = "20kpps"
SHOWN_AFTER_S = 4
FONT_FROM_ELSEWHERE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""The picture is self-contained: a reader's own monospace font serves."""


async def draw() -> str:
    """Open the run, let it count for a while, and return the screen as SVG."""
    app = FieldtapApp()
    async with app.run_test(size=(84, 22)) as pilot:
        await asyncio.sleep(1.5)
        await pilot.press("enter")
        await asyncio.sleep(SHOWN_AFTER_S)
        return app.export_screenshot(title="fieldtap")


def main() -> None:
    """Make a lab link, a capture and some load, and draw the console."""
    os.environ["FIELDTAP_BIN_DIR"] = str(PROGRAMS)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FIELDTAP_RUN_DIR"] = folder
        made = lab.up()
        captures.start_capture(NAME, ["-i", "ftlab1", "-w", f"{folder}/{NAME}.pcapng"])
        load: list[str | Path] = [PROGRAMS / "ft-generate", "-o", "ftlab0", "--size", "imix", "-q"]
        sender = subprocess.Popen([*load, "--rate", FRAMES_A_SECOND, "--duration", "10"])
        try:
            drawn = asyncio.run(draw()).replace(folder, "/captures")
            PICTURE.write_text(FONT_FROM_ELSEWHERE.sub("", drawn))
        finally:
            sender.terminate()
            sender.wait()
            captures.stop(NAME)
            if made:
                lab.down()


if __name__ == "__main__":
    main()
