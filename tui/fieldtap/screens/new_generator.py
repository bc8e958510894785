"""The form for a generator run; it closes only when an engine runs, or when it is left."""

import asyncio
from typing import ClassVar

from fieldtap_core.errors import EngineError
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static

from fieldtap import generators
from fieldtap.failures import CommandError
from fieldtap.generators import Order
from fieldtap.screens.dialogs import ArmDialog

FIELDS = (
    ("name", "name", ""),
    ("port", "port", "frames leave here"),
    ("receive", "receive", "where they come back; empty: nobody looks"),
    ("size", "size", "bytes with FCS: 64, or 64,512,1518, or imix"),
    ("rate", "rate", "max, 50%, 10kpps, 500Mbps"),
    ("seconds", "seconds", "how long"),
)
DEFAULTS = {"size": "64", "rate": "1kpps", "seconds": "10"}


class NewGeneratorDialog(ModalScreen[str | None]):
    """Returns the name of the generator that runs now, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "arm", "Arm", id="generate.arm", priority=True),
        Binding("escape", "dismiss(None)", "Leave", id="generate.leave"),
    ]

    def __init__(self, port: str) -> None:
        super().__init__()
        self._port = port

    def compose(self) -> ComposeResult:
        """One field under another, what is wrong below."""
        values = DEFAULTS | {"name": f"{self._port or 'port'}-load", "port": self._port}
        with Vertical(classes="dialog"):
            yield Static("NEW GENERATOR RUN", classes="title")
            for key, label, hint in FIELDS:
                with Horizontal(classes="field"):
                    yield Static(label, markup=False)
                    yield Input(values.get(key, ""), placeholder=hint, id=key, compact=True)
            yield Static("", id="problem", classes="problem", markup=False)
        yield Footer(show_command_palette=False)

    def value(self, key: str) -> str:
        """What stands in the field `key`."""
        return self.query_one(f"#{key}", Input).value.strip()

    def order(self) -> Order:
        """What the fields ask for."""
        return Order(
            port=self.value("port"),
            receive=self.value("receive"),
            size=self.value("size"),
            rate=self.value("rate"),
            seconds=self.value("seconds"),
        )

    def on_input_submitted(self) -> None:
        """Enter in any field goes on to arming."""
        self.action_arm()

    def _say(self, text: str) -> None:
        self.query_one("#problem", Static).update(text)

    @work(exclusive=True, exit_on_error=False)
    async def action_arm(self) -> None:
        """Say what will be sent, and start once that is confirmed; stay here when it fails."""
        name, order = self.value("name"), self.order()
        try:
            arming = await asyncio.to_thread(generators.to_arm, order)
            if not await self.app.push_screen_wait(ArmDialog(arming)):
                self._say("not armed")
                return
            self._say("starting")
            await asyncio.to_thread(generators.start_generator, name, order)
        except (CommandError, EngineError) as error:
            self._say(str(error))
        else:
            self.dismiss(name)
