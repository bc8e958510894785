"""Nothing is sent from the console before the port's name was typed."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fieldtap import arming, captures, generators
from fieldtap.app import FieldtapApp
from fieldtap.arming import Arming
from fieldtap.generators import Order
from fieldtap.screens.dialogs import ArmDialog
from fieldtap.screens.home import HomeScreen
from fieldtap.screens.new_generator import NewGeneratorDialog
from fieldtap.screens.run import RunScreen
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static

ENGINE_DIR = Path(__file__).parents[2] / "build" / "bin"
ORDER = Order(port="eth2", receive="", size="64", rate="max", seconds="10")
ARMING = Arming(
    port="eth[2]",
    link="up, 10 Gb/s, sfc",
    load="frames of 64 bytes, rate max",
    duration="10 s",
    peer="not asked: no port receives",
    warnings=("eth[2] has an address",),
)


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELDTAP_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FIELDTAP_BIN_DIR", str(ENGINE_DIR))
    monkeypatch.chdir(tmp_path)


def give_address(port: str) -> None:
    subprocess.run(["ip", "addr", "add", "192.0.2.1/24", "dev", port], check=True)


async def until(pilot: Pilot[None], kind: type[Screen[Any]]) -> None:
    """Let events pass until a screen of this kind is up; the test's own time-out is the limit."""
    while not isinstance(pilot.app.screen, kind) or not pilot.app.screen.is_mounted:
        await pilot.pause(0.02)
    await pilot.pause()


def text(app: FieldtapApp, selector: str = "Static") -> str:
    return "\n".join(str(shown.content) for shown in app.screen.query(selector).results(Static))


async def answer(*keys: str) -> tuple[list[bool | None], str]:
    """Open the dialog and press `keys`; returns what it answered, if it did, and its words."""
    answers: list[bool | None] = []
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(ArmDialog(ARMING), answers.append)
        await pilot.pause()
        before = text(app)
        await pilot.press(*keys)
        await pilot.pause()
        return answers, before if answers else text(app)


async def test_the_dialog_says_all_that_must_be_known_before() -> None:
    _, words = await answer("escape")
    for fact in (ARMING.link, ARMING.load, ARMING.duration, ARMING.peer, *ARMING.warnings):
        assert fact in words


@pytest.mark.parametrize("keys", [("enter",), ("y", "enter"), (*"eth2", "enter")])
async def test_anything_but_the_ports_name_does_not_arm(keys: tuple[str, ...]) -> None:
    answers, words = await answer(*keys)
    assert answers == []
    assert "not armed" in words


async def test_leaving_does_not_arm() -> None:
    assert (await answer("escape"))[0] == [False]


async def test_the_ports_name_arms() -> None:
    typed = ("e", "t", "h", "left_square_bracket", "2", "right_square_bracket")
    assert (await answer(*typed, "enter"))[0] == [True]


def test_an_order_becomes_the_options_of_the_generator() -> None:
    assert ORDER.options() == ["-o", "eth2", "--size", "64", "--rate", "max", "--duration", "10"]
    assert replace(ORDER, receive="eth3").options()[-2:] == ["-r", "eth3"]


def test_what_could_go_wrong_is_among_the_warnings(silent_link: str) -> None:
    known = generators.to_arm(replace(ORDER, port=silent_link))
    assert known.warnings == (arming.TOP_SPEED, arming.NOBODY_LOOKS)
    assert known.link.endswith("veth")
    calm = replace(ORDER, port=silent_link, receive=silent_link, rate="1kpps")
    assert generators.to_arm(calm).warnings == ()
    assert "reflector" in generators.to_arm(calm).peer
    give_address(silent_link)
    assert silent_link in generators.to_arm(calm).warnings[0]


async def generator_form(pilot: Pilot[None], port: str) -> NewGeneratorDialog:
    """Open the form by its key and fill in the port."""
    home = pilot.app.screen
    while not isinstance(home, HomeScreen) or not home.ports:
        await pilot.pause(0.02)
        home = pilot.app.screen
    await pilot.press("g")
    await until(pilot, NewGeneratorDialog)
    form = pilot.app.screen
    assert isinstance(form, NewGeneratorDialog)
    form.query_one("#port", Input).value = port
    form.query_one("#name", Input).value = "load"
    return form


async def test_a_run_is_started_once_it_is_armed_and_followed_on_its_screen(
    silent_link: str,
) -> None:
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await generator_form(pilot, silent_link)
        await pilot.press("ctrl+s")
        await until(pilot, ArmDialog)
        assert captures.look().engines == ()
        await pilot.press(*silent_link, "enter")
        await until(pilot, RunScreen)
        while "sent" not in text(app, "#ledger"):
            await pilot.pause(0.02)
        captures.stop("load")
        while not (shown := text(app, "#ledger")).startswith("NOT VALID: stopped"):
            await pilot.pause(0.02)
        assert "received" not in shown


async def test_what_was_not_armed_is_not_started(silent_link: str) -> None:
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await generator_form(pilot, silent_link)
        await pilot.press("ctrl+s")
        await until(pilot, ArmDialog)
        await pilot.press("escape")
        await until(pilot, NewGeneratorDialog)
        await pilot.pause()
        assert "not armed" in text(app, "#problem")
    assert captures.look().engines == ()


async def test_a_port_in_use_is_refused_by_the_engine_even_when_armed(silent_link: str) -> None:
    give_address(silent_link)
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await generator_form(pilot, silent_link)
        await pilot.press("ctrl+s")
        await until(pilot, ArmDialog)
        await pilot.press(*silent_link, "enter")
        await until(pilot, NewGeneratorDialog)
        while "192.0.2.1" not in text(app, "#problem"):
            await pilot.pause(0.02)
    assert captures.look().engines == ()
