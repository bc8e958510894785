"""A link test as it runs, and its verdict at the end.

Unlike a capture, it runs in this console and ends with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fieldtap_core.errors import EngineError
from msgspec.structs import replace
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Static

from fieldtap import words
from fieldtap.failures import CommandError
from fieldtap.linktest import report_terminal, session
from fieldtap.linktest.live import Live
from fieldtap.linktest.orders import Prepared
from fieldtap.linktest.results import LinktestReport
from fieldtap.linktest.trial import TrialResult
from fieldtap.screens.dialogs import ConfirmDialog, HelpDialog

if TYPE_CHECKING:
    from fieldtap.linktest.report_folder import Saved

UPDATES_EVERY_S = 0.25
BAR_CELLS = 40

COLUMNS = {"trial": 5, "of": 12, "size, B": 7, "frames/s": 9, "sent": 9, "lost": 9, "loss": 12}

HELP = """\
Each line below is a trial. The search bar shows between which loads
the throughput lies, of all that were tried with this frame size:
  ████  loads that came through whole
  ▒▒▒▒  not known yet: the search halves this
  ░░░░  loads that lost frames

A trial that is not valid proves nothing and is repeated: this machine
did not send what was asked, or lost frames itself.

  a  abort, with a question; what was found by then is reported
  esc  back, once the test has ended

The test ends when this console ends. From the command line,
`fieldtap linktest` runs without it."""


class LinktestScreen(Screen[None]):
    """Runs a test that was armed, in a thread, and shows how it gets on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "abort", "Abort", id="linktest.abort"),
        Binding("escape,q", "leave", "Back", id="linktest.back", key_display="esc"),
        Binding("question_mark", "help", "Help", id="linktest.help"),
    ]

    @dataclass
    class Ended(Message):
        """The test has ended; `saved` is None where its report could not be written."""

        report: LinktestReport | None
        saved: "Saved | None"
        problem: str

    def __init__(self, prepared: Prepared) -> None:
        super().__init__()
        self.prepared = prepared
        self.running = True
        self._shown_trials = 0

    def compose(self) -> ComposeResult:
        """A title, the trial that runs, the search, the trials before, the end."""
        yield Static("", id="title", classes="title", markup=False)
        yield Static("", id="now", classes="note", markup=False)
        yield Static("", id="search", classes="note", markup=False)
        yield DataTable(id="trials", cursor_type="row")
        yield Static("", id="verdict", classes="note", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin."""
        table = self._table
        for label, width in COLUMNS.items():
            table.add_column(label, width=width)
        self._began_ns = self.prepared.live.now_ns()
        self._show()
        self._clock = self.set_interval(UPDATES_EVERY_S, self._show)
        self.run_test()

    def on_unmount(self) -> None:
        """Let the thread end: a console that was left sends nothing."""
        self.prepared.live.abort()

    @work(thread=True, exit_on_error=False)
    def run_test(self) -> None:
        """Run the test to its end and save its report; in a thread."""
        self.post_message(run_and_save(self.prepared))

    @property
    def _table(self) -> DataTable[Text | str]:
        return self.query_one("#trials", DataTable)

    def _show(self) -> None:
        live = self.prepared.live
        ports = " and ".join(port.name for port in self.prepared.ports)
        elapsed = words.seconds(live.now_ns() - self._began_ns)
        about = words.seconds(self.prepared.least_ns)
        title = f"LINK TEST {self.prepared.name}, {ports}: {elapsed} of at least {about}"
        self.query_one("#title", Static).update(title)
        self.query_one("#now", Static).update(now_text(live))
        results = list(live.results)
        self.query_one("#search", Static).update(search_text(results))
        for index in range(self._shown_trials, len(results)):
            self._table.add_row(*trial_row(index, results[index]))
        if len(results) > self._shown_trials:
            self._table.move_cursor(row=len(results) - 1)
        self._shown_trials = len(results)

    def on_linktest_screen_ended(self, message: Ended) -> None:
        """Show the verdict, and where the report is."""
        self._clock.stop()
        self._show()
        self.running = False
        self.query_one("#now", Static).update("the test has ended; esc goes back")
        self.query_one("#verdict", Static).update(end_text(message))
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a running test can be aborted."""
        if action == "abort":
            return self.running
        return super().check_action(action, parameters)

    def action_leave(self) -> None:
        """Go back; a running test is asked to end first."""
        if self.running:
            self.action_abort()
        else:
            self.dismiss()

    @work(exit_on_error=False)
    async def action_abort(self) -> None:
        """End the test, once confirmed."""
        question = "Abort the test? What it found is reported, as not proved."
        if await self.app.push_screen_wait(ConfirmDialog(question)):
            self.prepared.live.abort()

    def action_help(self) -> None:
        """Explain the screen."""
        self.app.push_screen(HelpDialog(HELP))


def run_and_save(prepared: Prepared) -> LinktestScreen.Ended:
    """Run the test and write its report; blocks for as long as that takes."""
    from fieldtap.linktest import report_folder  # Jinja and pygal take a tenth of a second

    report: LinktestReport | None = None
    try:
        report_folder.make(prepared.folder)
        report = session.run(prepared.test, prepared.ports)
        report = replace(report, occasion=prepared.occasion)
        saved = report_folder.save(report, prepared.folder)
    except (CommandError, EngineError) as error:
        return LinktestScreen.Ended(report, None, str(error))
    return LinktestScreen.Ended(report, saved, "")


def now_text(live: Live) -> str:
    """The trial that runs, and what it counted so far."""
    trial, snapshot = live.trial, live.snapshot
    if trial is None:
        return "waiting, as the standard has it"
    flow = trial.flows[0]
    load = "top speed" if flow.rate_pps is None else words.scaled(flow.rate_pps, "frames/s")
    text = f"{trial.purpose}: {flow.frame_bytes} B at {load}"
    if trial.duration_s:
        share = (live.now_ns() - live.began_ns) / 1e9 / trial.duration_s
        text += f"  {bar([(min(1.0, share), '█')])}"
    if snapshot is not None:
        text += f"\n{words.count(snapshot.sent)} sent, {words.count(snapshot.lost)} lost"
    return text


def search_text(results: Sequence[TrialResult]) -> str:
    """Between which loads the throughput of the size lies that was searched last."""
    found = [
        (result.trial.flows[0].frame_bytes, result.trial.flows[0].rate_pps, result.lost)
        for result in results
        if result.valid and result.trial.purpose == "throughput"
    ]
    size = found[-1][0] if found else None
    loads = [(rate, lost) for frame_bytes, rate, lost in found if frame_bytes == size and rate]
    if not loads:
        return ""
    whole = max((rate for rate, lost in loads if not lost), default=0.0)
    lossy = min((rate for rate, lost in loads if lost and rate > whole), default=None)
    highest = max(rate for rate, _ in loads)
    unknown = (lossy or highest) / highest
    drawn = bar([(whole / highest, "█"), (unknown, "▒")])
    upper = f" and {lossy:,.0f}" if lossy else ""
    return f"search: {size} B  {drawn}\nbetween {whole:,.0f}{upper} frames/s"


def bar(marks: Sequence[tuple[float, str]]) -> str:
    """Cells up to each share filled with its glyph, the rest with ░; shares rise, 0 to 1."""
    drawn = ""
    for share, glyph in marks:
        drawn += glyph * (round(share * BAR_CELLS) - len(drawn))
    return drawn + "░" * (BAR_CELLS - len(drawn))


def trial_row(index: int, result: TrialResult) -> tuple[Text | str, ...]:
    """One line of the table of trials."""
    flow = result.trial.flows[0]
    rate = "max" if flow.rate_pps is None else words.scaled(flow.rate_pps, "")
    loss = Text(f"{result.loss_ratio:.3%}")
    if not result.valid:
        loss = Text("▲ NOT VALID", style="bold bright_yellow")
    return (
        str(index),
        Text(result.trial.purpose),
        str(flow.frame_bytes),
        rate,
        words.scaled(result.sent, ""),
        words.scaled(result.lost, ""),
        loss,
    )


def end_text(ended: LinktestScreen.Ended) -> Text:
    """The verdict and its reasons, and where the report is."""
    text = Text("")
    if ended.report is not None:
        text.append_text(report_terminal.verdict(ended.report)).append("\n")
    if ended.saved is not None:
        text.append(f"the report is {ended.saved.html}")
    if ended.problem:
        text.append(ended.problem, style="bold bright_red")
    return text
