"""Small dialogs that every screen uses."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static

from fieldtap.arming import Arming


class HelpDialog(ModalScreen[None]):
    """A text, until a key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,q", "dismiss", "Close", id="help.close")
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The text in a frame."""
        with Vertical(classes="dialog"):
            yield Static(self._text, markup=False)
        yield Footer(show_command_palette=False)


class ConfirmDialog(ModalScreen[bool]):
    """A question; only `y` means yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", id="confirm.yes"),
        Binding("n,escape,enter", "dismiss(False)", "No", id="confirm.no"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question in a frame."""
        with Vertical(classes="dialog"):
            yield Static(f"{self._question}  y/N", markup=False)
        yield Footer(show_command_palette=False)


class MarkDialog(ModalScreen[str | None]):
    """One line of text for a note; None when left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave", id="mark.leave")
    ]

    def compose(self) -> ComposeResult:
        """A single field."""
        with Vertical(classes="dialog"):
            yield Static("Note, stored with the time now", markup=False)
            yield Input(max_length=200, id="text", compact=True)
        yield Footer(show_command_palette=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the text back."""
        self.dismiss(event.value.strip() or None)


class ArmDialog(ModalScreen[bool]):
    """What is about to be sent; only the port's name, typed in full, arms it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Leave", id="arm.leave")
    ]

    def __init__(self, arming: Arming) -> None:
        super().__init__()
        self._arming = arming

    def compose(self) -> ComposeResult:
        """What is known, what could go wrong, and the field."""
        arming = self._arming
        with Vertical(classes="dialog"):
            yield Static(f"ARM {arming.port}?", classes="title", markup=False)
            for label in ("link", "load", "duration", "peer"):
                yield Static(f"{label:<10}{getattr(arming, label)}", markup=False)
            for warning in arming.warnings:
                yield Static(f"▲ {warning}", classes="warning", markup=False)
            yield Static(f"Type {arming.port} and enter to send", classes="field", markup=False)
            yield Input(id="typed", compact=True)
            yield Static("", id="problem", classes="problem", markup=False)
        yield Footer(show_command_palette=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Arm, or say that this was not the port's name."""
        if event.value.strip() == self._arming.port:
            self.dismiss(result=True)
            return
        said = f"not armed: that is not {self._arming.port}"
        self.query_one("#problem", Static).update(said)
