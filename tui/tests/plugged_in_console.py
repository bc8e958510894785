"""Run under `umockdev-wrapper`: plug an enclosure into a laptop while the console is open.

Prints, as JSON, the ports that the first screen lists before, with the enclosure, and after it.
Needs hardware/tests on its path.
"""

import asyncio
import json
import sys
from functools import partial
from unittest.mock import patch

from fieldtap import machine
from fieldtap.app import FieldtapApp
from fieldtap.screens import home
from fieldtap_hardware.checks import run_checks
from fieldtap_hardware.ports import read_ports
from machine_report import mocked_kernel
from mocked_machine import MACHINES, MockedMachine
from recorded_driver import read_machine
from textual.widgets import DataTable

WITHOUT, WITH = "laptop_no_adapter", "laptop_thunderbolt3_sfn7122f"
NEVER_S = 3600.0
TURN_S = 0.05


async def rows(app: FieldtapApp, expected: int) -> list[str]:
    """The ports listed, once as many as expected are."""
    table = app.screen.query_one("#ports", DataTable)
    while table.row_count != expected:
        await asyncio.sleep(TURN_S)
    return [str(key.value) for key in table.rows]


async def main() -> None:
    kernel = mocked_kernel(read_machine(MACHINES / f"{WITH}.toml"))
    mocked = MockedMachine(WITHOUT)
    app = FieldtapApp()
    with (
        patch.object(machine, "read_ports", partial(read_ports, kernel)),
        patch.object(machine, "run_checks", partial(run_checks, kernel=kernel)),
        patch.object(home, "PORTS_EVERY_S", NEVER_S),  # only an event can make it look again
    ):
        json.dump(await watch(app, mocked), sys.stdout)


async def watch(app: FieldtapApp, mocked: MockedMachine) -> list[list[str]]:
    """The ports listed before, with the enclosure, and after it."""
    async with app.run_test() as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        seen = [await rows(app, 0)]
        for steps, expected in ((mocked.plug_in(WITH), 2), (mocked.unplug(WITHOUT), 0)):
            for _ in steps:
                await asyncio.sleep(TURN_S)
            seen.append(await rows(app, expected))
    return seen


if __name__ == "__main__":
    asyncio.run(main())
