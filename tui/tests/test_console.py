"""The console, driven by keys, over a real engine that reads a FIFO (no privilege needed)."""

import html
import os
import re
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fieldtap import captures
from fieldtap.app import FieldtapApp
from fieldtap.screens.dialogs import ConfirmDialog, MarkDialog
from fieldtap.screens.home import HomeScreen
from fieldtap.screens.new_capture import NewCaptureDialog
from fieldtap.screens.run import RunScreen
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

ENGINE_DIR = Path(__file__).parents[2] / "build" / "bin"
CONSOLE_80X24 = (80, 24)

pytestmark = pytest.mark.skipif(
    not (ENGINE_DIR / "ft-capture").exists(), reason="the engine is not built: make engine"
)


@pytest.fixture(autouse=True)
def _own_run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELDTAP_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FIELDTAP_BIN_DIR", str(ENGINE_DIR))
    monkeypatch.chdir(tmp_path)


def pcap_with_one_frame() -> bytes:
    header = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    return header + struct.pack("<IIII", 1, 0, 60, 60) + bytes(60)


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Path]:
    """A FIFO that holds one frame and stays open."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    os.write(descriptor, pcap_with_one_frame())
    yield path
    os.close(descriptor)


@pytest.fixture
def capture(fifo: Path) -> Iterator[str]:
    """A running capture that the console did not start."""
    captures.start_capture("tap[1]", ["-i", f"file:{fifo}", "-w", "tap.pcapng"])
    yield "tap[1]"
    if captures.look().engines:
        captures.stop("tap[1]")


@asynccontextmanager
async def console() -> AsyncIterator[tuple[FieldtapApp, Pilot[None]]]:
    app = FieldtapApp()
    async with app.run_test(size=CONSOLE_80X24, notifications=True) as pilot:
        await settle(app, pilot, lambda: bool(app.screen.query("#ports")))
        yield app, pilot


async def settle(app: FieldtapApp, pilot: Pilot[None], reached: Callable[[], bool]) -> None:
    """Let events pass until `reached`; the test's own time-out is the limit."""
    for _ in range(600):
        if reached():
            return
        await pilot.pause(0.02)
    pytest.fail(f"the console did not get there; it shows:\n{shown(app)}")


def shown(app: FieldtapApp) -> str:
    """The text on the screen."""
    texts = re.findall(r"<text[^>]*>(.*?)</text>", app.export_screenshot(), re.DOTALL)
    return html.unescape("\n".join(texts))


def runs_listed(app: FieldtapApp) -> int:
    return int(app.screen.query_one("#runs", DataTable).row_count)


async def open_run(app: FieldtapApp, pilot: Pilot[None]) -> None:
    await settle(app, pilot, lambda: runs_listed(app) == 1)
    await pilot.press("enter")
    await settle(app, pilot, lambda: isinstance(app.screen, RunScreen))


async def test_a_run_that_the_console_did_not_start_is_shown_live(capture: str) -> None:
    async with console() as (app, pilot):
        await open_run(app, pilot)
        await settle(app, pilot, lambda: "stored" in shown(app).replace("\xa0", " "))
        assert capture in shown(app)


async def test_stopping_asks_first_and_leaves_a_complete_file(capture: str, tmp_path: Path) -> None:
    async with console() as (app, pilot):
        await open_run(app, pilot)
        await pilot.press("s")
        await settle(app, pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("n")
        await settle(app, pilot, lambda: isinstance(app.screen, RunScreen))
        assert captures.find(capture)
        run = app.screen
        assert isinstance(run, RunScreen)
        await pilot.press("s", "y")
        await settle(app, pilot, lambda: run.ended)
        await settle(app, pilot, (tmp_path / "tap.pcapng").exists)
        assert run.check_action("stop", ()) is False


async def test_a_note_is_left_in_the_run(capture: str) -> None:
    async with console() as (app, pilot):
        await open_run(app, pilot)
        await pilot.press("m")
        await settle(app, pilot, lambda: isinstance(app.screen, MarkDialog))
        await pilot.press(*"cable", "enter")
        await settle(app, pilot, lambda: isinstance(app.screen, RunScreen))
        await settle(app, pilot, lambda: "noted" in shown(app))
    stopped = captures.stop(capture)
    assert '"cable"' in Path(str(stopped.last.report)).read_text()


async def test_ending_the_console_disturbs_no_capture(capture: str) -> None:
    async with console() as (app, pilot):
        await open_run(app, pilot)
    assert captures.find(capture).status.state == "running"


async def test_a_filter_is_judged_by_libpcap_while_it_is_typed() -> None:
    async with console() as (app, pilot):
        app.push_screen(NewCaptureDialog("eth9"))
        await settle(app, pilot, lambda: isinstance(app.screen, NewCaptureDialog))
        await settle(app, pilot, lambda: bool(app.screen.query("#problem")))
        field = app.screen.query_one("#filter", Input)
        field.value = "udp porx"
        problem = app.screen.query_one("#problem", Static)
        await settle(app, pilot, lambda: "syntax error" in str(problem.content))
        field.value = "udp port 53"
        await settle(app, pilot, lambda: str(problem.content) == "")


async def test_a_capture_that_cannot_start_keeps_the_form_and_says_why() -> None:
    async with console() as (app, pilot):
        app.push_screen(NewCaptureDialog("no-such-port"))
        await settle(app, pilot, lambda: isinstance(app.screen, NewCaptureDialog))
        await settle(app, pilot, lambda: bool(app.screen.query("#problem")))
        await pilot.press("ctrl+s")
        problem = app.screen.query_one("#problem", Static)
        await settle(app, pilot, lambda: "no-such-port" in str(problem.content))
        assert isinstance(app.screen, NewCaptureDialog)


async def test_a_capture_started_in_the_console_is_shown_at_once(fifo: Path) -> None:
    async with console() as (app, pilot):
        home = app.screen
        assert isinstance(home, HomeScreen)
        await settle(app, pilot, lambda: bool(home.ports))
        await pilot.press("n")
        await settle(app, pilot, lambda: isinstance(app.screen, NewCaptureDialog))
        await settle(app, pilot, lambda: bool(app.screen.query("#problem")))
        app.screen.query_one("#ports", Input).value = f"file:{fifo}"
        app.screen.query_one("#name", Input).value = "mine"
        app.screen.query_one("#file", Input).value = "mine.pcapng"
        await pilot.press("ctrl+s")
        await settle(app, pilot, lambda: isinstance(app.screen, RunScreen))
    captures.stop("mine")
    assert Path("mine.pcapng").exists()
