"""A link test as a form asks for it: every field a text, made into a test or refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from fieldtap_hardware.ports import Port

from fieldtap import arming, words
from fieldtap.arming import Arming
from fieldtap.failures import BAD_USAGE, CommandError, naming
from fieldtap.linktest import kinds, profiles, quantities, session, settings
from fieldtap.linktest.bench import SHORT_WAITS, STANDARD_WAITS
from fieldtap.linktest.commands import Common
from fieldtap.linktest.live import Live
from fieldtap.linktest.results import Directions, Kind, Occasion
from fieldtap.linktest.settings import Part, Settings

RFC2544: dict[str, tuple[Kind, tuple[Part, ...]]] = {
    "rfc2544": ("rfc2544", get_args(Part)),
    "throughput": ("rfc2544", ("throughput",)),
    "latency": ("latency", ("throughput", "latency")),
    "loss": ("loss", ("loss",)),
    "back-to-back": ("back-to-back", ("throughput", "back-to-back")),
    "recovery": ("recovery", ("throughput", "recovery")),
}
OTHERS = ("quick", "soak", "y1564")
TESTS = ("quick", *RFC2544, "y1564", "soak")
MODES = ("short", "full")
SOAK_RATE = "50%"
STEP_S = 5.0


@dataclass(frozen=True)
class Order:
    """What was typed; `limits` are separated by blanks, `profile` is for Y.1564 alone."""

    test: str
    a: str
    b: str
    direction: str
    sizes: str
    mode: str
    limits: str
    duration: str
    profile: str
    folder: Path
    occasion: Occasion


@dataclass(frozen=True)
class Prepared:
    """A test that can begin, and what its report is to say besides."""

    name: str
    test: session.Test
    live: Live
    ports: tuple[Port, Port]
    folder: Path
    occasion: Occasion

    @property
    def least_ns(self) -> int:
        """How long it takes at least, in nanoseconds."""
        return round(1e9 * self.test.estimate_s())


def prepare(order: Order) -> Prepared:
    """Make a test of what was typed. Raises `CommandError`."""
    for typed, known in (
        (order.test, TESTS),
        (order.direction, get_args(Directions)),
        (order.mode, MODES),
    ):
        if typed not in known:
            raise CommandError(f"{typed!r} is none of {', '.join(known)}", BAD_USAGE)
    directions: Directions = {word: word for word in get_args(Directions)}[order.direction]
    common = Common((order.a, order.b), directions, None, None, (), order.occasion)
    live = Live()
    test = _test(order, common, live)
    return Prepared(order.test, test, live, common.ports, order.folder, order.occasion)


def _test(order: Order, common: Common, live: Live) -> session.Test:
    if order.test in RFC2544:
        return _rfc2544(order, common, live)
    bench = common.bench(SHORT_WAITS, live, clock=live)
    if order.test == "quick":
        return kinds.QuickTest(bench, common.ports, common.speed_bps)
    with naming("duration"):
        duration_s = quantities.duration_s(order.duration)
    if order.test == "y1564":
        services = profiles.read(Path(order.profile))
        for service in services:
            common.check_service(service)
        return kinds.Y1564Test(bench, services, STEP_S, duration_s)
    (size,) = _sizes(order, common)[:1]
    return kinds.SoakTest(
        bench, size, SOAK_RATE, duration_s, 0.0, common.speed_bps, common.look_at_links
    )


def _rfc2544(order: Order, common: Common, live: Live) -> session.Test:
    kind, parts = RFC2544[order.test]
    wanted = Settings(
        parts=parts,
        sizes=_sizes(order, common),
        directions=common.directions,
        limits=quantities.limits(tuple(order.limits.split())),
    )
    short = order.mode == "short"
    bench = common.bench(SHORT_WAITS if short else STANDARD_WAITS, live, clock=live)
    wanted = settings.shorten(wanted) if short else wanted
    return kinds.Rfc2544Test(kind, bench, wanted, common.speed_bps)


def _sizes(order: Order, common: Common) -> tuple[int, ...]:
    with naming("sizes"):
        sizes = quantities.sizes(order.sizes, None)
    common.check_sizes(sizes, tagged=common.vlan_id is not None)
    return sizes


def to_arm(prepared: Prepared) -> Arming:
    """Say what will be sent, before it is."""
    a, b = prepared.ports
    directions = prepared.test.bench.directions
    sends, peer = (b, a) if directions == "b-a" else (a, b)
    warnings = arming.warnings_of(sends, is_top_speed=True, is_counted=True)
    if directions == "both":
        warnings += (f"{peer.name} sends too",)
    return Arming(
        port=sends.name,
        link=arming.link_of(sends),
        load=f"link test {prepared.name}, in short also at top speed",
        duration=f"at least {words.seconds(prepared.least_ns)}",
        peer=f"what lies between {sends.name} and {peer.name}",
        warnings=warnings,
    )
