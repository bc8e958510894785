"""The form for a new capture; it closes only when an engine runs, or when it is left."""

import asyncio
import shlex
from pathlib import Path
from typing import ClassVar

from fieldtap_core.errors import EngineError
from fieldtap_core.filters import check_filter
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static

from fieldtap import captures, machine
from fieldtap.failures import CommandError

FIELDS = (
    ("name", "name", ""),
    ("ports", "ports", "one or more, separated by blanks"),
    ("file", "file", ""),
    ("filter", "filter", "as in tcpdump; empty: every frame"),
    ("seconds", "seconds", "how long; empty: until it is stopped"),
)


class NewCaptureDialog(ModalScreen[str | None]):
    """Returns the name of the capture that runs now, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start", id="new.start", priority=True),
        Binding("escape", "dismiss(None)", "Leave", id="new.leave"),
    ]

    def __init__(self, port: str) -> None:
        super().__init__()
        self._port = port

    def compose(self) -> ComposeResult:
        """One field under another, what is wrong below."""
        name = f"{self._port or 'capture'}-{free_number(self._port)}"
        values = {
            "name": name,
            "ports": self._port,
            "file": str(machine.capture_dir() / f"{name}.pcapng"),
        }
        with Vertical(classes="dialog"):
            yield Static("NEW CAPTURE", classes="title")
            for key, label, hint in FIELDS:
                with Horizontal(classes="field"):
                    yield Static(label, markup=False)
                    yield Input(values.get(key, ""), placeholder=hint, id=key, compact=True)
            yield Static("", id="problem", classes="problem", markup=False)
        yield Footer(show_command_palette=False)

    def value(self, key: str) -> str:
        """What stands in the field `key`."""
        return self.query_one(f"#{key}", Input).value.strip()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Let libpcap judge the filter while it is typed."""
        if event.input.id == "filter":
            self._say(filter_problem(event.value.strip()))

    def on_input_submitted(self) -> None:
        """Enter in any field starts."""
        self.action_start()

    def _say(self, text: str) -> None:
        self.query_one("#problem", Static).update(text)

    def options(self) -> list[str]:
        """The options of ft-capture that the fields stand for."""
        options = ["-w", self.value("file")]
        for port in shlex.split(self.value("ports")):
            options += ["-i", port]
        if self.value("filter"):
            options += ["-f", self.value("filter")]
        if self.value("seconds"):
            options += ["-a", f"duration:{self.value('seconds')}"]
        return options

    def action_start(self) -> None:
        """Start the capture; stay here, with the reason, when that fails."""
        if problem := filter_problem(self.value("filter")):
            self._say(problem)
            return
        try:
            options = self.options()
        except ValueError as error:  # an open quote among the ports
            self._say(f"ports: {error}")
            return
        self._say("starting")
        self._start(self.value("name"), options)

    @work(exclusive=True, exit_on_error=False)
    async def _start(self, name: str, options: list[str]) -> None:
        try:
            await asyncio.to_thread(captures.start_capture, name, options)
        except (CommandError, EngineError) as error:
            self._say(str(error))
        else:
            self.dismiss(name)


def filter_problem(expression: str) -> str:
    """What is wrong with a filter, or an empty text."""
    if not expression:
        return ""
    try:
        problem = check_filter(expression)
    except EngineError as error:
        return str(error)
    return f"filter: {problem}" if problem else ""


def free_number(port: str) -> int:
    """The first number whose capture file does not exist yet."""
    number = 1
    while Path(machine.capture_dir(), f"{port or 'capture'}-{number}.pcapng").exists():
        number += 1
    return number
