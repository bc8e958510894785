"""What an engineer must know before frames leave a port. Knows neither Textual nor click."""

from dataclasses import dataclass

from fieldtap_hardware.ports import Port
from fieldtap_hardware.silence import check_silence
from fieldtap_hardware.verdicts import Verdict

from fieldtap import words

NOBODY_LOOKS = "nobody counts what comes back"
NO_LINK = "the port has no link"
TOP_SPEED = "as fast as the port can: what shares the link is cut off"


@dataclass(frozen=True)
class Arming:
    """A run that is to be armed, in words; `warnings` are what could go wrong."""

    port: str
    link: str
    load: str
    duration: str
    peer: str
    warnings: tuple[str, ...]


def link_of(port: Port) -> str:
    """The link, its speed and who drives it: "up, 10 Gb/s, sfc"."""
    state = "up" if port.carrier else "no link"
    speed = words.scaled(port.speed_bps, "b/s") if port.speed_bps else "speed not known"
    return ", ".join([state, speed, port.driver or "driver not known"])


def warnings_of(port: Port, *, is_top_speed: bool, is_counted: bool) -> tuple[str, ...]:
    """What to think of before sending on `port`, gravest first."""
    silence = check_silence(port)
    warnings = []
    if silence.verdict is not Verdict.OK:
        warnings.append(f"{port.name} {silence.summary}")
    if not port.carrier:
        warnings.append(NO_LINK)
    if is_top_speed:
        warnings.append(TOP_SPEED)
    if not is_counted:
        warnings.append(NOBODY_LOOKS)
    return tuple(warnings)
