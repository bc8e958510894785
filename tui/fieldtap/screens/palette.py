"""The command palette (ctrl+p): every key of the screen by name, namespaced."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from textual.app import SystemCommand
from textual.command import CommandPalette, SearchIcon
from textual.screen import Screen


class Palette(CommandPalette):
    """Textual's palette without its emoji, which the Linux console cannot draw."""

    def on_mount(self) -> None:
        """Replace the icon."""
        self.query_one(SearchIcon).icon = ">"


def commands_of(screen: Screen[Any]) -> Iterator[SystemCommand]:
    """Yield what the keys of `screen` do now: "run.stop" becomes "run: Stop"."""
    for active in screen.active_bindings.values():
        name = active.binding.id
        if name is None or not active.enabled:
            continue
        title = f"{name.partition('.')[0]}: {active.binding.description}"
        act = partial(screen.app.run_action, active.binding.action, active.node)
        yield SystemCommand(title, f"the key {screen.app.get_key_display(active.binding)}", act)
