"""One engine, live: what it counts, what it lost and why, its alarms."""

from collections.abc import Sequence
from typing import Any, ClassVar

from fieldtap_core.control import Control
from fieldtap_core.errors import EngineError
from fieldtap_core.messages import CaptureStatus, Received, ReflectStatus, Status
from fieldtap_core.reports import CaptureReport, GenerateReport
from fieldtap_core.stream import subscribe
from fieldtap_core.survey import Engine
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Static

from fieldtap import captures, generators, words
from fieldtap.rates import Rates
from fieldtap.screens.dialogs import ConfirmDialog, HelpDialog, MarkDialog

UPDATES_HZ = 4.0

HELP = """\
offered    frames that the kernel counted for the port
stored     frames in the file
filtered   frames that the filter did not want
excess     frames after the stop condition was met

Frames lost, by the place that was too slow:
  adapter         it had no host buffer left: enlarge its rings
  kernel buffer   the engine got too little processor: enlarge --buffer
  engine blocks   the disk was behind: use a faster disk
  disk            full or failed: free space, start a new capture

  s  stop, with a question    m  note, with the time now    esc  back"""


class RunScreen(Screen[None]):
    """Subscribes to the engine; when it ends, its last word stays on the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "Stop", id="run.stop"),
        Binding("m", "mark", "Note", id="run.mark"),
        Binding("escape", "app.pop_screen", "Back", id="run.back"),
        Binding("question_mark", "help", "Help", id="run.help"),
    ]

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.ended = False
        self._status: Status = engine.status
        self._rates = Rates()

    def compose(self) -> ComposeResult:
        """A title, the counts, the alarms."""
        yield Static("", id="title", classes="title", markup=False)
        yield Static("", id="ledger")
        yield Static("", id="alarms", markup=False)
        yield Static("", id="run-note", classes="note", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show what is known, then follow the engine."""
        self._show(self.engine.status)
        self.follow()

    @work(exclusive=True, group="follow", exit_on_error=False)
    async def follow(self) -> None:
        """Show each status that the engine pushes, until it ends."""
        reason = "the run has ended"
        try:
            async for status in subscribe(self.engine.socket, UPDATES_HZ):
                self._show(status)
        except EngineError as error:
            reason = str(error)
        self.ended = True
        self._show_end()
        self.query_one("#run-note", Static).update(f"{reason}; esc goes back")
        self.refresh_bindings()

    def _show_end(self) -> None:
        """Show the receipt where the run left one; else its last word stays."""
        status = self._status
        duration = words.seconds(status.now_ns - status.started_ns)
        title = f"{status.name}  ended after {duration}  to {words.target(status)}"
        self.query_one("#title", Static).update(title)
        if (captured := captures.report_of(status)) is not None:
            self.query_one("#ledger", Static).update(report_text(captured))
        elif (generated := generators.report_of(status)) is not None:
            self.query_one("#ledger", Static).update(generated_text(generated))

    def _show(self, status: Status) -> None:
        self._status = status
        self._rates.add(status)
        duration = words.seconds(status.now_ns - status.started_ns)
        title = f"{status.name}  {status.state} for {duration}  to {words.target(status)}"
        self.query_one("#title", Static).update(title)
        self.query_one("#ledger", Static).update(status_text(status, self._rates))
        alarms = "\n".join(f"ALARM {alarm.text}" for alarm in status.alarms)
        self.query_one("#alarms", Static).update(alarms)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A run that has ended can be neither stopped nor marked."""
        if action in ("stop", "mark"):
            return not self.ended
        return super().check_action(action, parameters)

    def action_stop(self) -> None:
        """Stop the run, once confirmed."""
        stop_run(self.app, self.engine)

    def action_help(self) -> None:
        """Explain the counts."""
        self.app.push_screen(HelpDialog(HELP))

    @work(exit_on_error=False)
    async def action_mark(self) -> None:
        """Leave a note in the run."""
        text = await self.app.push_screen_wait(MarkDialog())
        if text is None:
            return
        try:
            captures.mark(self.engine, text)
        except EngineError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self.notify("noted", markup=False)


def stop_run(app: App[Any], engine: Engine) -> None:
    """Ask, then tell the engine to stop; it finishes its file by itself."""

    def answered(yes: bool | None) -> None:
        if not yes:
            return
        try:
            with Control(engine.socket) as control:
                control.stop()
        except EngineError as error:
            app.notify(str(error), severity="error", markup=False)
        else:
            app.notify(f"{engine.status.name} finishes its file and ends", markup=False)

    app.push_screen(ConfirmDialog(f"Stop {engine.status.name}?"), answered)


def status_text(status: Status, rates: Rates) -> Text:
    """Everything a status says, as lines."""
    text = Text()
    text.append(
        f"{words.scaled(rates.frames_per_s(status), 'frames/s')}   "
        f"{words.scaled(rates.bits_per_s(status), 'bit/s')}   "
        f"{words.scaled(words.captured_bytes(status), 'B')} in all\n"
    )
    if isinstance(status, CaptureStatus):
        for port in status.ports:
            text.append_text(port_text(port))
    elif isinstance(status, ReflectStatus):
        text.append_text(reflector_text(status))
    else:
        text.append_text(generator_text(status.tx.frames, status.rx))
    return text


def report_text(report: CaptureReport) -> Text:
    """The ledger of a finished capture, and whether its sum proves that nothing is missing."""
    text = Text(f"lost {words.count(report.lost)}; the ledger {words.balance(report.balanced)}\n")
    for port in report.ports:
        text.append_text(port_text(port))
    return text


def port_text(port: words.Ledger) -> Text:
    """One port's side of the ledger, each cause of loss in words."""
    text = Text("\n")
    text.append(port.port, style="bold")
    text.append(f"  {port.backend}, timestamps by {port.timestamps}\n")
    for label in ("offered", "stored", "filtered", "excess"):
        text.append(f"  {label:<23}{words.count(getattr(port, label)):>18}\n")
    for cause in words.CAUSES:
        frames = getattr(port.dropped, cause.key)
        text.append(f"  lost at {cause.where:<15}{words.count(frames):>18}")
        if frames:
            text.append("  ✗ DROP", style="bold bright_red")
            text.append(f"\n    {cause.meaning}: {cause.remedy}")
        text.append("\n")
    return text


def generated_text(report: GenerateReport) -> Text:
    """The result of a finished generator run, and whether it shows what it was meant to."""
    text = Text("valid\n" if report.valid else f"NOT VALID: {report.invalid_reason}\n")
    return text.append_text(generator_text(report.tx.frames, report.rx))


def generator_text(sent: int, received: Received | None) -> Text:
    """What was sent, and what came back."""
    rows = [("sent", sent)]
    if received is not None:
        rows += [
            ("received", received.frames),
            ("lost", received.lost),
            ("dropped here", received.receiver_dropped),
            ("foreign", received.foreign),
        ]
    return counts_text(rows)


def reflector_text(status: ReflectStatus) -> Text:
    """What was sent back, and why the rest was left to the host."""
    return counts_text(
        [
            ("seen", status.seen),
            ("sent back", status.reflected),
            ("beyond the cap", status.capped),
            ("of others", status.refused.foreign),
            ("from or to a group", status.refused.group),
            ("from a reflector", status.refused.reflected),
            ("fragments", status.refused.fragment),
            ("of bad length", status.refused.bad_length),
            ("dropped by the port", status.wire.dropped),
        ]
    )


def counts_text(rows: Sequence[tuple[str, int]]) -> Text:
    """Counts of frames, a line each."""
    return Text("\n" + "".join(f"  {label:<23}{words.count(n):>18}\n" for label, n in rows))
