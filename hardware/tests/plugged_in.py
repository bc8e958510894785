"""Run under `umockdev-wrapper`: plug an enclosure into a laptop, pull it, and tell what is seen.

Prints, as JSON, the events, ports and verdicts before, with the enclosure, and after it.
"""

import sys
from collections.abc import Iterable

import msgspec
from fieldtap_hardware.watch import Change, Watch
from machine_report import Judged, judge
from mocked_machine import MACHINES, MockedMachine
from recorded_driver import read_machine

WITHOUT, WITH = "laptop_no_adapter", "laptop_thunderbolt3_sfn7122f"
EVENT_WITHIN_S = 10


def look(watch: Watch, steps: Iterable[str]) -> Judged:
    """The events of each step, then the machine as it is."""
    changes: list[Change] = []
    for _ in steps:
        changes += watch.drain(EVENT_WITHIN_S)
    return judge(read_machine(MACHINES / f"{WITH}.toml"), changes)


def main() -> None:
    machine = MockedMachine(WITHOUT)
    watch = Watch()
    seen = [look(watch, ())]
    seen.append(look(watch, machine.plug_in(WITH)))
    seen.append(look(watch, machine.unplug(WITHOUT)))
    sys.stdout.buffer.write(msgspec.json.encode(seen))


if __name__ == "__main__":
    main()
