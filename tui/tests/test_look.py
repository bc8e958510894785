"""What the Linux console can draw: 16 colours, and the glyphs of its fonts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from fieldtap.app import FieldtapApp
from fieldtap.arming import NOBODY_LOOKS, TOP_SPEED, Arming
from fieldtap.screens import home, linktest, run
from fieldtap.screens.dialogs import ArmDialog, ConfirmDialog, HelpDialog, MarkDialog
from fieldtap.screens.home import HELP, HomeScreen
from fieldtap.screens.new_capture import NewCaptureDialog
from fieldtap.screens.new_generator import NewGeneratorDialog
from fieldtap.screens.new_linktest import NewLinktestDialog
from rich.color import ColorSystem
from rich.segment import Segment
from textual.command import CommandPalette
from textual.notifications import SeverityLevel
from textual.pilot import Pilot
from textual.screen import Screen

CONSOLE_80X24 = (80, 24)
# In the Latin console fonts of Debian's console-setup, beside ASCII.
CONSOLE_GLYPHS = set("●▲✗→─│┌┐└┘├┤┬┴┼█░▒…\xa0")

ARMING = Arming(
    port="eth9",
    link="up, 10 Gb/s, sfc",
    load="frames of 64 bytes, rate max",
    duration="10 s",
    peer="not asked: no port receives",
    warnings=(TOP_SPEED, NOBODY_LOOKS),
)

DIALOGS: dict[str, Callable[[], Screen[Any]]] = {
    "help": lambda: HelpDialog(HELP),
    "long help": lambda: HelpDialog(HELP * 5),
    "confirm": lambda: ConfirmDialog("Stop tap[1]?"),
    "mark": MarkDialog,
    "new link test": lambda: NewLinktestDialog("eth9"),
    "new capture": lambda: NewCaptureDialog("eth9"),
    "new generator": lambda: NewGeneratorDialog("eth9"),
    "arm": lambda: ArmDialog(ARMING),
}


@pytest.fixture(autouse=True)
def _no_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIELDTAP_RUN_DIR", str(tmp_path))


def drawn(app: FieldtapApp) -> list[Segment]:
    """Every piece of text on the screen, with its style."""
    strips = app.screen._compositor.render_strips()
    return [segment for strip in strips for segment in strip if segment.text.strip()]


def check_drawable(app: FieldtapApp) -> None:
    pieces = drawn(app)
    assert pieces
    text = "".join(piece.text for piece in pieces)
    assert not {glyph for glyph in text if not glyph.isascii()} - CONSOLE_GLYPHS
    assert [piece.text for piece in pieces if is_invisible(piece)] == []


def is_invisible(piece: Segment) -> bool:
    """Whether a terminal of 16 colours draws the text in the colour of its background."""
    style = piece.style
    if style is None or style.color is None or style.bgcolor is None:
        return False
    front, back = (color.downgrade(ColorSystem.STANDARD) for color in (style.color, style.bgcolor))
    return front.number == back.number


async def on_home(app: FieldtapApp, pilot: Pilot[None]) -> None:
    await pilot.pause()
    assert isinstance(app.screen, HomeScreen)
    await app.workers.wait_for_complete()
    await pilot.pause()


@pytest.mark.parametrize("dialog", DIALOGS)
async def test_every_dialog_is_drawable_on_the_linux_console(dialog: str) -> None:
    app = FieldtapApp()
    async with app.run_test(size=CONSOLE_80X24) as pilot:
        await on_home(app, pilot)
        check_drawable(app)
        await app.push_screen(DIALOGS[dialog]())
        await pilot.pause()
        check_drawable(app)


@pytest.mark.parametrize("severity", get_args(SeverityLevel))
async def test_a_passing_message_is_drawable_on_the_linux_console(severity: SeverityLevel) -> None:
    app = FieldtapApp()
    async with app.run_test(size=CONSOLE_80X24, notifications=True) as pilot:
        await on_home(app, pilot)
        app.notify("the disk [b] is full", severity=severity, markup=False)
        await pilot.pause()
        assert "the disk [b] is full" in "".join(piece.text for piece in drawn(app))
        check_drawable(app)


async def test_the_palette_is_drawable_and_names_what_the_keys_do() -> None:
    app = FieldtapApp()
    async with app.run_test(size=CONSOLE_80X24) as pilot:
        await on_home(app, pilot)
        await pilot.press("ctrl+p")
        assert isinstance(app.screen, CommandPalette)
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "home: Look again" in "".join(piece.text for piece in drawn(app))
        assert "home: Stop run" not in "".join(piece.text for piece in drawn(app))
        check_drawable(app)


async def test_the_palette_does_what_was_chosen() -> None:
    app = FieldtapApp()
    async with app.run_test(size=CONSOLE_80X24) as pilot:
        await on_home(app, pilot)
        await pilot.press("ctrl+p", *"home: Help")
        await app.workers.wait_for_complete()
        await pilot.pause()
        await pilot.press("down", "enter")
        await pilot.pause()
        assert isinstance(app.screen, HelpDialog)


@pytest.mark.parametrize("text", [home.HELP, linktest.HELP, run.HELP])
def test_help_fits_its_dialog_without_wrapping(text: str) -> None:
    assert max(map(len, text.splitlines())) <= 72
