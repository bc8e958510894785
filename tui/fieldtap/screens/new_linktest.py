"""The form for a link test; it closes only when a test is armed, or when it is left."""

import asyncio
from pathlib import Path
from typing import ClassVar

from fieldtap_core.errors import EngineError
from fieldtap_hardware.ports import InventoryError
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Footer, Input, Static

from fieldtap import machine, words
from fieldtap.failures import CommandError
from fieldtap.linktest import orders
from fieldtap.linktest.orders import Order, Prepared
from fieldtap.linktest.results import Occasion
from fieldtap.screens.dialogs import ArmDialog

FIELDS = (
    ("test", ", ".join(orders.TESTS)),
    ("from", "a port"),
    ("to", "the port at the other end"),
    ("direction", "a-b, b-a, or both at once"),
    ("sizes", "standard, or 64,512,1518"),
    ("mode", "short, or full as the standard has it"),
    ("limits", "throughput=95% loss=0.1% latency=1ms; empty: only measured"),
    ("duration", "of soak and of the performance test: 15m, 12h"),
    ("profile", "file of services, for y1564 alone"),
    ("folder", "where the report goes"),
    *((name, "for the report") for name in Occasion.__struct_fields__),
)
DEFAULTS = {
    "test": "quick",
    "direction": "a-b",
    "sizes": "standard",
    "mode": "short",
    "duration": "15m",
}


class NewLinktestDialog(ModalScreen[Prepared | None]):
    """Returns a test that was armed, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "arm", "Arm", id="linktest.arm", priority=True),
        Binding("escape", "dismiss(None)", "Leave", id="linktest.leave"),
    ]

    def __init__(self, port: str, peer: str = "") -> None:
        super().__init__()
        self._port = port
        self._peer = peer

    def compose(self) -> ComposeResult:
        """One field under another; how long it takes, or what is wrong, below."""
        ports = {"from": self._port, "to": self._peer}
        values = DEFAULTS | ports | {"folder": str(machine.capture_dir() / "linktest")}
        known = SuggestFromList(orders.TESTS)
        with Vertical(classes="dialog"):
            yield Static("NEW LINK TEST", classes="title")
            for key, hint in FIELDS:
                with Horizontal(classes="line"):
                    yield Static(key, markup=False)
                    yield Input(
                        values.get(key, ""),
                        placeholder=hint,
                        id=key,
                        compact=True,
                        suggester=known if key == "test" else None,
                    )
            yield Static("", id="estimate", classes="note", markup=False)
        yield Footer(show_command_palette=False)

    def order(self) -> Order:
        """What the fields ask for."""
        typed = {key: self.query_one(f"#{key}", Input).value.strip() for key, _ in FIELDS}
        return Order(
            test=typed["test"],
            a=typed["from"],
            b=typed["to"],
            direction=typed["direction"],
            sizes=typed["sizes"],
            mode=typed["mode"],
            limits=typed["limits"],
            duration=typed["duration"],
            profile=typed["profile"],
            folder=Path(typed["folder"]),
            occasion=Occasion(**{name: typed[name] for name in Occasion.__struct_fields__}),
        )

    def on_input_changed(self) -> None:
        """Say what the test would take, while it is typed."""
        self.estimate()

    def on_input_submitted(self) -> None:
        """Enter in any field goes on to arming."""
        self.action_arm()

    @work(exclusive=True, group="estimate", exit_on_error=False)
    async def estimate(self) -> None:
        """Show how long the test takes, or why it cannot begin."""
        if (prepared := await self._prepared()) is not None:
            self._say(f"takes at least {words.seconds(prepared.least_ns)}")

    @work(exclusive=True, group="arm", exit_on_error=False)
    async def action_arm(self) -> None:
        """Say what will be sent; the test is returned once that is confirmed."""
        prepared = await self._prepared()
        if prepared is None:
            return
        if await self.app.push_screen_wait(ArmDialog(orders.to_arm(prepared))):
            self.dismiss(prepared)
        else:
            self._say("not armed")

    async def _prepared(self) -> Prepared | None:
        try:
            return await asyncio.to_thread(orders.prepare, self.order())
        except (CommandError, EngineError, InventoryError) as error:
            self._say(str(error))
            return None

    def _say(self, text: str) -> None:
        self.query_one("#estimate", Static).update(text)
