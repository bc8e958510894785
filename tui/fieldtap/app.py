"""The console: a Textual application over the same command layer as the command line.

Stateless: it finds engines by their sockets, so that killing it disturbs nothing and a new one sees
what the old one saw.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from rich.terminal_theme import TerminalTheme
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.screen import Screen
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.theme import Theme

from fieldtap.failures import DONE
from fieldtap.screens.home import HomeScreen
from fieldtap.screens.palette import Palette, commands_of

# The Linux console has 16 colours and few glyphs; what looks right there looks right everywhere.
THEME = Theme(
    name="fieldtap",
    primary="#00aaaa",
    secondary="#aaaaaa",
    accent="#ffff55",
    warning="#ffff55",
    error="#ff5555",
    success="#55ff55",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    dark=True,
    variables={
        "block-cursor-foreground": "#000000",
        "block-cursor-background": "#00aaaa",
        "block-cursor-blurred-foreground": "#ffffff",
        "block-cursor-blurred-background": "#000000",
        "border": "#aaaaaa",
        "footer-background": "#000000",
        "footer-key-foreground": "#ffff55",
        "footer-description-foreground": "#ffffff",
        "input-selection-background": "#00aaaa",
    },
)


# Named colours as the Linux console has them, so that red stays red where there are only 16.
NAMED_COLOURS = TerminalTheme(
    background=(0, 0, 0),
    foreground=(255, 255, 255),
    normal=[
        (0, 0, 0),
        (170, 0, 0),
        (0, 170, 0),
        (170, 85, 0),
        (0, 0, 170),
        (170, 0, 170),
        (0, 170, 170),
        (170, 170, 170),
    ],
    bright=[
        (85, 85, 85),
        (255, 85, 85),
        (85, 255, 85),
        (255, 255, 85),
        (85, 85, 255),
        (255, 85, 255),
        (85, 255, 255),
        (255, 255, 255),
    ],
)


class PlainScrollBar(ScrollBarRender):
    """Scrollbars of whole cells: console fonts have no eighth blocks."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


class FieldtapApp(App[None]):
    """Screens are in `screens/`, one a file; this class only holds them together."""

    TITLE = "fieldtap"
    CSS_PATH = "fieldtap.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "quit", "Quit", id="console.quit")]

    def on_mount(self) -> None:
        """Open the first screen."""
        self.animation_level = "none"  # it only costs, over SSH and on the console
        self.register_theme(THEME)
        self.theme = THEME.name
        self.ansi_theme_dark = NAMED_COLOURS
        ScrollBar.renderer = PlainScrollBar
        self.push_screen(HomeScreen())

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer in the palette what the keys of `screen` do, and nothing else."""
        return commands_of(screen)

    def action_command_palette(self) -> None:
        """Open the palette, once."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(Palette(id="--command-palette"))


def run_console() -> int:
    """Run the console until the user quits; returns the exit code."""
    app = FieldtapApp()
    app.run()
    return app.return_code or DONE
