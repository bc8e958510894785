"""The first screen: the ports of this machine and every engine that runs."""

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from fieldtap_core.errors import EngineError
from fieldtap_core.survey import Engine, Survey
from fieldtap_hardware.ports import InventoryError, Port
from fieldtap_hardware.verdicts import Check, Report, Verdict, worst
from fieldtap_hardware.watch import Watch
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import DataTable, Footer, Static

from fieldtap import captures, machine, sessions, tables, words
from fieldtap.failures import CommandError
from fieldtap.rates import Rates
from fieldtap.screens.dialogs import HelpDialog
from fieldtap.screens.linktest import LinktestScreen
from fieldtap.screens.new_capture import NewCaptureDialog
from fieldtap.screens.new_generator import NewGeneratorDialog
from fieldtap.screens.new_linktest import NewLinktestDialog
from fieldtap.screens.run import RunScreen, stop_run

RUNS_EVERY_S = 1.0
PORTS_EVERY_S = 5.0
SETTLING_S = 0.5  # an enclosure brings a dozen devices, one after another

# Columns and their widths: fixed, so that tables fit 80 columns and are not measured anew.
PORT_COLUMNS = {
    "port": 15,
    "driver": 10,
    "link": 10,
    "speed": 8,
    "verdict": 11,
    "timestamps": 11,
}
RUN_COLUMNS = {
    "name": 12,
    "state": 8,
    "ports": 10,
    "for": 8,
    "frames/s": 8,
    "frames": 8,
    "lost": 10,
}

HELP = """\
Above, the ports of this machine; below, every capture and generator
that runs, whoever started it. They go on when this console ends.

  tab      from one table to the other
  n        new capture on the chosen port
  g        new generator run on the chosen port, once it is armed
  l        link test from the chosen port; it ends with this console
  enter    open the chosen run            s   stop it
  r        look again                     q   leave the console
  ctrl+p   the same by name

Verdicts: ● ok  ▲ warn  ✗ fail  ? unknown (never ok). Those of the
chosen port and of the machine are explained between the tables;
`fieldtap check` on the command line shows all."""


class HomeScreen(Screen[None]):
    """Ports and runs; both tables are refilled in place, so that the cursor stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new_capture", "New capture", id="home.new"),
        Binding("g", "new_generator", "Generate", id="home.generate"),
        Binding("l", "new_linktest", "Link test", id="home.linktest"),
        Binding(
            "enter", "open_run", "Open run", id="home.open", priority=True, key_display="enter"
        ),
        Binding("s", "stop_run", "Stop run", id="home.stop"),
        Binding("r", "refresh", "Look again", id="home.refresh"),
        Binding("question_mark", "help", "Help", id="home.help"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[Port] = []
        self.report: Report | None = None
        self.engines: dict[str, Engine] = {}
        self._rates = Rates()
        self._watch = Watch()
        self._settling: Timer | None = None
        self._ports_busy = asyncio.Lock()
        self._runs_busy = asyncio.Lock()

    def compose(self) -> ComposeResult:
        """Two tables, a line below each."""
        yield Static("PORTS", classes="title")
        yield DataTable(id="ports", cursor_type="row")
        yield Static("reading the ports", id="ports-note", classes="note", markup=False)
        yield Static("RUNS", classes="title")
        yield DataTable(id="runs", cursor_type="row")
        yield Static("", id="runs-note", classes="note", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Fill the tables now and keep them true."""
        for table, columns in (
            (self._ports_table, PORT_COLUMNS),
            (self._runs_table, RUN_COLUMNS),
        ):
            for label, width in columns.items():
                table.add_column(label, width=width)
        self._ports_table.focus()
        self.set_interval(RUNS_EVERY_S, self.look_for_runs)
        self.set_interval(PORTS_EVERY_S, self.look_at_ports)
        asyncio.get_running_loop().add_reader(self._watch.fileno(), self._devices_changed)

    def on_unmount(self) -> None:
        """Stop listening for devices."""
        asyncio.get_running_loop().remove_reader(self._watch.fileno())

    def _devices_changed(self) -> None:
        """Look again once an adapter, enclosure or clock that came or went has settled."""
        if self._watch.drain():
            if self._settling is not None:
                self._settling.stop()
            self._settling = self.set_timer(SETTLING_S, self.look_at_ports)

    def on_screen_resume(self) -> None:
        """Look at once when this screen comes up; below another one it rests."""
        self.action_refresh()

    @property
    def _ports_table(self) -> DataTable[Text | str]:
        return self.query_one("#ports", DataTable)

    @property
    def _runs_table(self) -> DataTable[Text | str]:
        return self.query_one("#runs", DataTable)

    def action_refresh(self) -> None:
        """Look at everything again."""
        self.look_at_ports()
        self.look_for_runs()

    @work(group="ports", exit_on_error=False)
    async def look_at_ports(self) -> None:
        """Read and judge the ports, off the event loop."""
        if self._ports_busy.locked() or not self.is_current:
            return
        async with self._ports_busy:
            try:
                ports, report = await asyncio.to_thread(judged_ports)
            except (CommandError, InventoryError, OSError) as error:
                self._note("#ports-note", str(error))
            else:
                self._show_ports(ports, report)

    @work(group="runs", exit_on_error=False)
    async def look_for_runs(self) -> None:
        """Ask every engine for its status, off the event loop; one that hangs takes seconds."""
        if self._runs_busy.locked() or not self.is_current:
            return
        async with self._runs_busy:
            self._show_runs(await asyncio.to_thread(captures.look))

    def _note(self, selector: str, text: Text | str) -> None:
        self.query_one(selector, Static).update(text)

    def _show_ports(self, ports: list[Port], report: Report | None) -> None:
        self.ports, self.report = ports, report
        rows = {port.name: port_row(port, report) for port in ports}
        fill(self._ports_table, rows)
        self._explain_port()

    def on_data_table_row_highlighted(self) -> None:
        """Keep note and keys true to the rows under the cursors."""
        self._explain_port()
        self.refresh_bindings()

    def chosen_port(self) -> str:
        """Return the name of the port under the cursor, "" without ports."""
        row = self._ports_table.cursor_row
        return self.ports[row].name if 0 <= row < len(self.ports) else ""

    def _other_port(self) -> str:
        """Return the name of the port that is not chosen, "" unless there are just two."""
        others = {port.name for port in self.ports} - {self.chosen_port()}
        return others.pop() if len(others) == 1 else ""

    def _explain_port(self) -> None:
        """Below the ports: what is not ok with the chosen one and the machine, and what to do."""
        if self.report is None:
            self._note("#ports-note", "" if self.ports else "no port but loopback is here")
            return
        others = {port.name for port in self.ports} - {self.chosen_port()}
        checks = [check for check in self.report.checks if check.subject not in others]
        self._note("#ports-note", problems_text(checks))

    def _show_runs(self, survey: Survey) -> None:
        self.engines = {str(engine.socket): engine for engine in survey.engines}
        rows: dict[str, tuple[Text | str, ...]] = {}
        for key, engine in self.engines.items():
            self._rates.add(engine.status)
            rows[key] = run_row(engine, self._rates)
        fill(self._runs_table, rows)
        trouble = "; ".join(f"{problem.path}: {problem.text}" for problem in survey.problems)
        idle = "" if rows else "nothing runs; n starts a capture on the chosen port"
        self._note("#runs-note", trouble or idle)
        self.refresh_bindings()

    def chosen_run(self) -> Engine | None:
        """Return the run under the cursor, if there is any."""
        table = self._runs_table
        if not self.engines or not table.is_valid_row_index(table.cursor_row):
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        return self.engines.get(key or "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that do something now."""
        if action in ("open_run", "stop_run"):
            return self.chosen_run() is not None
        if action in ("new_capture", "new_generator", "new_linktest"):
            return bool(self.ports)
        return super().check_action(action, parameters)

    def action_open_run(self) -> None:
        """Show the chosen run live."""
        if (engine := self.chosen_run()) is not None:
            self.app.push_screen(RunScreen(engine))

    def action_stop_run(self) -> None:
        """Stop the chosen run, once confirmed."""
        if (engine := self.chosen_run()) is not None:
            stop_run(self.app, engine)

    def action_help(self) -> None:
        """Explain this screen."""
        self.app.push_screen(HelpDialog(f"{HELP}\n\n{sessions.key_words()}"))

    @work(exit_on_error=False)
    async def action_new_capture(self) -> None:
        """Ask for a new capture, start it, and show it."""
        self._show_run(await self.app.push_screen_wait(NewCaptureDialog(self.chosen_port())))

    @work(exit_on_error=False)
    async def action_new_generator(self) -> None:
        """Ask for a generator run, have it armed, start it, and show it."""
        self._show_run(await self.app.push_screen_wait(NewGeneratorDialog(self.chosen_port())))

    @work(exit_on_error=False)
    async def action_new_linktest(self) -> None:
        """Ask for a link test, have it armed, and run it."""
        prepared = await self.app.push_screen_wait(
            NewLinktestDialog(self.chosen_port(), self._other_port())
        )
        if prepared is not None:
            self.app.push_screen(LinktestScreen(prepared))

    def _show_run(self, name: str | None) -> None:
        if name is None:
            return
        try:
            engine = captures.find(name)
        except EngineError:
            self.notify(f"{name} has ended already", markup=False)
        else:
            self.app.push_screen(RunScreen(engine))


def judged_ports() -> tuple[list[Port], Report | None]:
    """Read the ports and what to think of them; blocks for some tens of milliseconds."""
    ports = machine.ports()
    return ports, machine.check([port.name for port in ports], None) if ports else None


def port_row(port: Port, report: Report | None) -> tuple[Text | str, ...]:
    """One line of the table of ports."""
    checks = report.checks if report else ()
    verdict = worst(check.verdict for check in checks if check.subject == port.name)
    return (
        Text(port.name),
        Text(port.driver or "-"),
        tables.link_words(port),
        words.scaled(port.speed_bps, "b/s") if port.speed_bps else "-",
        tables.verdict_text(verdict),
        tables.stamp_words(port),
    )


def problems_text(checks: Iterable[Check]) -> Text:
    """The checks that are neither ok nor irrelevant: what is wrong, and what to do."""
    lines = []
    for check in checks:
        if check.verdict in (Verdict.OK, Verdict.NOT_APPLICABLE):
            continue
        line = tables.verdict_text(check.verdict)
        line.append(f"  {check.subject}: {check.summary}")
        if check.remedy:
            line.append(f"\n    → {check.remedy}")
        lines.append(line)
    return Text("\n").join(lines)


def run_row(engine: Engine, rates: Rates) -> tuple[Text | str, ...]:
    """One line of the table of runs."""
    status = engine.status
    lost = Text("0")
    if status.lost:
        lost = Text(f"DROP {words.scaled(status.lost, '')}", style="bold bright_red")
    state = Text("▲ ALARM", style="bold bright_yellow") if status.alarms else Text(status.state)
    return (
        Text(status.name),
        state,
        Text(words.port_names(status)),
        words.seconds(status.now_ns - status.started_ns),
        words.scaled(rates.frames_per_s(status), ""),
        words.scaled(words.frames(status), ""),
        lost,
    )


def fill(table: DataTable[Text | str], rows: dict[str, tuple[Text | str, ...]]) -> None:
    """Make the table show `rows` by key, keeping the cursor where it was."""
    if [key.value for key in table.rows] == list(rows):
        for key, row in rows.items():
            for column, cell in zip(table.columns, row, strict=True):
                if table.get_cell(key, column) != cell:
                    table.update_cell(key, column, cell)
        return
    line = table.cursor_row
    table.clear()
    for key, row in rows.items():
        table.add_row(*row, key=key)
    table.move_cursor(row=min(line, len(rows) - 1) if rows else 0)
