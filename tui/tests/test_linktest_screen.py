"""Link tests in the console: what is asked before, what is seen meanwhile, what is left after."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fieldlab import wait_until
from fieldtap.app import FieldtapApp
from fieldtap.failures import CommandError
from fieldtap.linktest import orders
from fieldtap.linktest.bench import Bench, Waits
from fieldtap.linktest.kinds import Rfc2544Test
from fieldtap.linktest.live import Live
from fieldtap.linktest.orders import Order, Prepared
from fieldtap.linktest.results import LinktestReport, Occasion
from fieldtap.linktest.settings import Settings
from fieldtap.linktest.trial import Flow, FlowResult, Snapshot, Trial, TrialResult, Watch
from fieldtap.screens import linktest
from fieldtap.screens.dialogs import ArmDialog, ConfirmDialog
from fieldtap.screens.home import HomeScreen
from fieldtap.screens.linktest import LinktestScreen
from fieldtap.screens.new_linktest import NewLinktestDialog
from simulated_device import SimulatedClock, SimulatedDevice
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import DataTable, Input, Static

ENGINE_DIR = Path(__file__).parents[2] / "build" / "bin"
NO_WAITS = Waits(learning_s=0.0, residual_s=0.0, settle_s=0.0)
CAP_PPS = 1_000_000.0
ORDER = Order(
    test="throughput",
    a="no-such-port",
    b="eth3",
    direction="a-b",
    sizes="64",
    mode="short",
    limits="",
    duration="15m",
    profile="",
    folder=Path("out"),
    occasion=Occasion(),
)
MakeReport = Callable[[str], LinktestReport]


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELDTAP_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FIELDTAP_BIN_DIR", str(ENGINE_DIR))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def prepared(make_report: MakeReport, tmp_path: Path) -> Prepared:
    """A throughput test of a simulated device, over before one can look."""
    return prepare(make_report, tmp_path, SimulatedDevice(SimulatedClock(), cap_pps=CAP_PPS))


class EndlessDevice(SimulatedDevice):
    """A device whose trials go on until the test is aborted."""

    def run(self, trial: Trial, watch: Watch) -> TrialResult:
        result = super().run(trial, watch)
        while trial.purpose == "throughput":
            watch(Snapshot(self.clock.ns, 7, 5, 2))
            time.sleep(0.01)
        return result


def prepare(make_report: MakeReport, folder: Path, device: SimulatedDevice) -> Prepared:
    live = Live()
    bench = Bench(device, live, NO_WAITS, "a-b", 3, live)
    settings = Settings(parts=("throughput",), sizes=(512,), search="bisection")
    return Prepared(
        "throughput",
        Rfc2544Test("rfc2544", bench, settings, 10e9),
        live,
        make_report("eth[2]").ports,
        folder / "out",
        Occasion(customer="ACME"),
    )


def text(screen: Screen[Any], selector: str) -> str:
    return str(screen.query_one(selector, Static).content)


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Let events pass until `condition()`; the test's own time-out is the limit."""
    while not condition():
        await pilot.pause(0.02)
    await pilot.pause()


async def test_a_test_runs_to_its_verdict_and_its_report(prepared: Prepared) -> None:
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = LinktestScreen(prepared)
        await app.push_screen(screen)
        await until(pilot, lambda: not screen.running)
        assert "measured" in text(screen, "#verdict")
        assert "out/report.html" in text(screen, "#verdict").replace("\n", "")
        assert screen.query_one("#trials", DataTable).row_count == len(prepared.live.results)
        assert "512 B" in text(screen, "#search")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
    report = json.loads((prepared.folder / "report.json").read_text())
    (found,) = report["throughput"]
    assert CAP_PPS * 0.99 <= found["rate_pps"] <= CAP_PPS
    assert report["occasion"]["customer"] == "ACME"


async def test_an_aborted_test_reports_what_it_found_as_not_proved(
    make_report: MakeReport, tmp_path: Path
) -> None:
    prepared = prepare(make_report, tmp_path, EndlessDevice(SimulatedClock(), cap_pps=CAP_PPS))
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = LinktestScreen(prepared)
        await app.push_screen(screen)
        await until(pilot, lambda: "7 sent, 2 lost" in text(screen, "#now"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("n")
        await until(pilot, lambda: app.screen is screen)
        assert screen.running
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, lambda: not screen.running)
        assert "invalid" in text(screen, "#verdict")
    report = json.loads((prepared.folder / "report.json").read_text())
    assert (report["interrupted"], report["verdict"]) == (True, "invalid")


async def test_a_console_that_is_left_ends_its_test(
    make_report: MakeReport, tmp_path: Path
) -> None:
    prepared = prepare(make_report, tmp_path, EndlessDevice(SimulatedClock(), cap_pps=CAP_PPS))
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = LinktestScreen(prepared)
        await app.push_screen(screen)
        await until(pilot, lambda: prepared.live.snapshot is not None)
    wait_until("the report", (prepared.folder / "report.html").exists)
    assert json.loads((prepared.folder / "report.json").read_text())["interrupted"] is True


async def test_a_report_that_cannot_be_written_is_said(prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = LinktestScreen(prepared)
        await app.push_screen(screen)
        await until(pilot, lambda: not screen.running)
        assert "cannot make" in text(screen, "#verdict")


async def test_nothing_is_sent_before_the_port_was_named(silent_link: str) -> None:
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.ports)
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, NewLinktestDialog))
        form = app.screen
        form.query_one("#from", Input).value = silent_link
        form.query_one("#to", Input).value = silent_link[:-1] + "b"
        await until(pilot, lambda: "takes at least" in text(form, "#estimate"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ArmDialog))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is form)
        await until(pilot, lambda: "not armed" in text(form, "#estimate"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ArmDialog))
        await pilot.press(*silent_link, "enter")
        await until(pilot, lambda: isinstance(app.screen, LinktestScreen))
        screen = app.screen
        await until(pilot, lambda: "sent" in text(screen, "#now"))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(
            pilot, lambda: screen.query("#verdict") and "invalid" in text(screen, "#verdict")
        )


@pytest.mark.parametrize(
    ("order", "named"),
    [
        (replace(ORDER, test="rfc9999"), "rfc9999"),
        (replace(ORDER, direction="up"), "up"),
        (replace(ORDER, mode="fast"), "fast"),
        (ORDER, "no-such-port"),
    ],
)
def test_what_a_form_cannot_mean_is_refused_by_name(order: Order, named: str) -> None:
    with pytest.raises(CommandError, match=named):
        orders.prepare(order)


def test_every_test_of_the_command_line_is_in_the_form(silent_link: str, tmp_path: Path) -> None:
    profile = tmp_path / "site.toml"
    profile.write_text('[[service]]\nname = "voice"\nsize = 128\ncir = "2Mbps"\n')
    for name in orders.TESTS:
        order = replace(
            ORDER, test=name, a=silent_link, b=silent_link[:-1] + "b", profile=str(profile)
        )
        assert orders.prepare(order).least_ns > 0


def a_trial(rate_pps: float, lost: int, *, valid: bool = True) -> TrialResult:
    flow = Flow(direction="a-b", frame_bytes=64, rate_pps=rate_pps)
    result = FlowResult(
        offered=100,
        sent=100,
        received=100 - lost,
        lost=lost,
        receiver_dropped=0,
        duplicate=0,
        reordered=0,
        corrupt=0,
        foreign=0,
        sent_pps=rate_pps,
        latency_ns=None,
        backend="afpacket",
        mode="",
    )
    trial = Trial(purpose="throughput", flows=(flow,), duration_s=1.0)
    return TrialResult(
        trial=trial, started_ns=0, stopped_ns=1, valid=valid, invalid_reason=None, flows=(result,)
    )


def test_the_bar_of_a_search_shows_what_is_whole_not_known_and_lossy() -> None:
    trials = [a_trial(1000, 5), a_trial(500, 0), a_trial(750, 1), a_trial(700, 9, valid=False)]
    shown = linktest.search_text(trials)
    assert [shown.count(glyph) for glyph in "█▒░"] == [20, 10, 10]
    assert "between 500 and 750 frames/s" in shown


def test_an_invalid_trial_is_said_in_words() -> None:
    assert "NOT VALID" in str(linktest.trial_row(0, a_trial(700, 9, valid=False))[-1])


def test_the_table_of_trials_fits_the_console_of_80_columns() -> None:
    padding, margin = 2, 2
    assert sum(width + padding for width in linktest.COLUMNS.values()) + margin <= 80
