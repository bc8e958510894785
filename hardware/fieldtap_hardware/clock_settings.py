"""What the operator expects of the clock: /etc/fieldtap/clock.toml.

grandmaster = ["00b0ae.fffe.02d1f0"]  # the clocks that may be followed, as pmc writes them
goal_ns = 50                          # how near to the master, by the slave's own estimate
"""

import os
import re
import tomllib
from pathlib import Path

import msgspec

SETTINGS_FILE = Path("/etc/fieldtap/clock.toml")
SETTINGS_VARIABLE = "FIELDTAP_CLOCK_SETTINGS"
IDENTITY = re.compile(r"[0-9a-f]{16}")


class ClockSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pinned grandmasters (none: any may be followed, with a warning) and the goal."""

    grandmaster: tuple[str, ...] = ()
    goal_ns: float = 50
    problem: str | None = None  # why the file was not understood

    def allows(self, identity: str) -> bool:
        return bare(identity) in map(bare, self.grandmaster)

    @property
    def limit_ns(self) -> float:
        """Beyond it the offset is a failure: a microsecond for the usual goal."""
        return 20 * self.goal_ns


def bare(identity: str) -> str:
    """A clock identity as 16 hex digits, however it was punctuated."""
    return re.sub(r"[.:-]", "", identity.lower())


def read_settings(path: Path | None = None) -> ClockSettings:
    """The file at `path`, `$FIELDTAP_CLOCK_SETTINGS` or /etc/fieldtap; the defaults without it."""
    path = path or Path(os.environ.get(SETTINGS_VARIABLE) or SETTINGS_FILE)
    try:
        with path.open("rb") as file:
            settings = msgspec.convert(tomllib.load(file), ClockSettings)
    except FileNotFoundError:
        return ClockSettings()
    except OSError as error:
        return ClockSettings(problem=f"{path}: {error.strerror}")
    except (ValueError, RecursionError) as error:  # of TOML and of the form
        return ClockSettings(problem=f"{path}: {error}")
    wrong = [name for name in settings.grandmaster if not IDENTITY.fullmatch(bare(name))]
    if wrong:
        return ClockSettings(problem=f"{path}: {wrong[0]!r} is no clock identity")
    if not settings.goal_ns > 0:
        return ClockSettings(problem=f"{path}: goal_ns must be above 0")
    return settings
