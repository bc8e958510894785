"""`fieldtap linktest`: parses, runs a test and hands its report on."""

import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypeVar, get_args

import click
from fieldtap_hardware.ports import Port
from msgspec.structs import replace

from fieldtap import machine, words
from fieldtap.failures import (
    BAD_USAGE,
    CHECK_FAILED,
    DONE,
    FAILED,
    INTERRUPTED,
    CommandError,
    naming,
)
from fieldtap.linktest import (
    kinds,
    outages,
    profiles,
    quantities,
    quick,
    report_cli,
    session,
    settings,
)
from fieldtap.linktest.bench import (
    SHORT_WAITS,
    STANDARD_WAITS,
    Bench,
    Clock,
    Listener,
    Waits,
    WallClock,
)
from fieldtap.linktest.engine import EngineTester
from fieldtap.linktest.results import Directions, Kind, Occasion, Service
from fieldtap.linktest.settings import Part, Search, Settings

if TYPE_CHECKING:
    from fieldtap.linktest.progress import Progress

Command = TypeVar("Command", bound=Callable[..., object])

ATTEMPTS = 3
WALL_CLOCK = WallClock()
TAG_AND_HEADER_BYTES = {False: 18, True: 22}
"""Of a frame beside what counts for the MTU: addresses, type, FCS, and a tag."""

EXIT_CODES = {
    "ok": DONE,
    "measured": DONE,
    "not_measured": DONE,
    "fail": CHECK_FAILED,
    "invalid": FAILED,
}


class Common:
    """What every test needs to know, from the command line."""

    def __init__(
        self,
        names: tuple[str, ...],
        directions: Directions,
        vlan_id: int | None,
        speed: str | None,
        forced: tuple[str, ...],
        occasion: Occasion,
    ) -> None:
        if len(names) != 2:
            text = "name two ports, the ends of the link, as in eth2 eth3; see fieldtap ports"
            raise CommandError(text, BAD_USAGE)
        if names[0] == names[1]:
            raise CommandError(f"{names[0]}: a link has two ends; name two ports", BAD_USAGE)
        found = machine.ports(names)
        self.ports: tuple[Port, Port] = (found[0], found[1])
        self.directions = directions
        self.vlan_id = vlan_id
        self.forced = forced
        self.occasion = occasion
        self.speed_bps = self._speed_bps(speed)

    def _speed_bps(self, speed: str | None) -> float:
        """The slower port's speed, unless the user says another."""
        if speed is not None:
            with naming("--speed"):
                return quantities.bit_rate_bps(speed)
        for port in self.ports:
            if not port.up:
                text = f"{port.name} is down; bring it up: ip link set {port.name} up"
                raise CommandError(text, BAD_USAGE)
            if port.carrier is False:
                text = f"{port.name} has no link; check cable, module and the other end"
                raise CommandError(text, BAD_USAGE)
            if port.speed_bps is None:
                text = f"{port.name} does not tell its speed; give it, as in --speed 1Gbps"
                raise CommandError(text, BAD_USAGE)
        return min(port.speed_bps for port in self.ports if port.speed_bps is not None)

    def bench(
        self,
        waits: Waits,
        listener: Listener,
        attempts: int = ATTEMPTS,
        clock: Clock = WALL_CLOCK,
    ) -> Bench:
        """Return a bench that runs trials by the engine."""
        return Bench(
            tester=EngineTester(self.ports[0].name, self.ports[1].name, self.forced),
            clock=clock,
            waits=waits,
            directions=self.directions,
            attempts=attempts,
            listener=listener,
            vlan_id=self.vlan_id,
        )

    def look_at_links(self) -> outages.Links:
        """Say which ports have no link at the moment."""
        return outages.look([port.name for port in self.ports])

    def check_service(self, service: Service) -> None:
        """Raise `CommandError` for a service that is more than the link, before it is sent."""
        if service.cir_bps + service.eir_bps > self.speed_bps:
            asked = words.scaled(service.cir_bps + service.eir_bps, "bit/s")
            text = f"service {service.name!r} has {asked} of CIR and EIR, the link"
            raise CommandError(f"{text} {words.scaled(self.speed_bps, 'bit/s')}", BAD_USAGE)

    def check_sizes(self, sizes: tuple[int, ...], *, tagged: bool) -> None:
        """Raise `CommandError` for a size that a port cannot take, before hours are spent."""
        header = TAG_AND_HEADER_BYTES[tagged]
        for port in self.ports:
            if port.mtu_bytes is not None and max(sizes) - header > port.mtu_bytes:
                need = max(sizes) - header
                text = f"{max(sizes)} bytes do not fit {port.name}: ip link set {port.name} mtu"
                raise CommandError(f"{text} {need}", BAD_USAGE)


def common_options(command: Command) -> Command:
    """Add what every test takes."""
    for add in (
        click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
        *report_cli.OPTIONS,
        click.option(
            "--force",
            "forced",
            metavar="PORT",
            multiple=True,
            help="Use PORT although it has addresses, the default route or a bridge.",
        ),
        click.option("--speed", metavar="RATE", help="Speed of the link (as the ports tell)."),
        click.option("--vlan", "vlan_id", type=click.IntRange(1, 4094), help="Tag the frames."),
        click.option(
            "--direction",
            "directions",
            type=click.Choice(get_args(Directions)),
            default="a-b",
            show_default=True,
            help="From the first port to the second, back, or both at once.",
        ),
        click.argument("names", metavar="PORT PORT", nargs=-1),
    ):
        command = add(command)
    return command


def rfc2544_options(command: Command) -> Command:
    """Add what the tests of RFC 2544 take."""
    for add in (
        click.option(
            "--limit",
            "limits",
            metavar="NAME=VALUE",
            multiple=True,
            help="Demand throughput=95%, loss=0.1%, latency=1ms, burst=100 or recovery=1s; "
            "without, figures are only measured.",
        ),
        click.option(
            "--precision", default="0.5%", show_default=True, help="Of the throughput found."
        ),
        click.option(
            "--search",
            type=click.Choice(get_args(Search)),
            default="mlr",
            show_default=True,
            help="MLRsearch, or plain bisection, which takes four times as long.",
        ),
        click.option(
            "--short",
            is_flag=True,
            help="Minutes instead of hours: shorter waits, "
            "trials and repetitions, all of which the report states.",
        ),
        click.option(
            "--sizes",
            default="standard",
            show_default=True,
            help="Frame sizes with FCS, as in 64,512,1518,9018; standard is "
            f"{','.join(map(str, settings.STANDARD_SIZES))}.",
        ),
    ):
        command = add(command)
    return common_options(command)


@click.group()
def linktest() -> None:
    """Prove a link, or a device between two ports, before you trust it.

    \b
    fieldtap linktest quick eth2 eth3
    fieldtap linktest rfc2544 eth2 eth3 --short --out uplink
    fieldtap linktest soak eth2 eth3 --duration 12h
    """


def _rfc2544(kind: Kind, parts: tuple[Part, ...], options: dict[str, object]) -> int:
    common, out, as_json = _common(options)
    short = bool(options["short"])
    with naming("--sizes"):
        sizes = quantities.sizes(str(options["sizes"]), common.vlan_id)
    common.check_sizes(sizes, tagged=common.vlan_id is not None)
    with naming("--precision"):
        precision = quantities.ratio(str(options["precision"]))
    search: Search = "bisection" if options["search"] == "bisection" else "mlr"
    limits = options["limits"]
    wanted = Settings(
        parts=parts,
        sizes=sizes,
        directions=common.directions,
        vlan_id=common.vlan_id,
        search=search,
        precision=precision,
        attempts=ATTEMPTS,
        limits=quantities.limits(limits if isinstance(limits, tuple) else ()),
    )
    if not 0 < wanted.precision < 1:
        raise CommandError("--precision: give a share above 0 and below 100%", BAD_USAGE)
    wanted = settings.shorten(wanted) if short else wanted
    listener = _progress(quiet=as_json)
    bench = common.bench(SHORT_WAITS if short else STANDARD_WAITS, listener)
    test = kinds.Rfc2544Test(kind, bench, wanted, common.speed_bps)
    return _run(test, common, out, listener, as_json=as_json)


@linktest.command()
@rfc2544_options
def rfc2544(**options: object) -> int:
    """Everything by RFC 2544: throughput, latency, frame loss, bursts and recovery.

    Takes some 15 hours with all sizes as the standard has it, --short half an hour.

    \b
    fieldtap linktest rfc2544 eth2 eth3 --out uplink
    fieldtap linktest rfc2544 eth2 eth3 --short --sizes 64,1518 --limit throughput=95%
    """
    return _rfc2544("rfc2544", get_args(Part), options)


@linktest.command()
@rfc2544_options
def throughput(**options: object) -> int:
    """The highest rate without loss, for each size (RFC 2544 26.1).

    \b
    fieldtap linktest throughput eth2 eth3 --sizes 64,1518 --direction both
    """
    return _rfc2544("rfc2544", ("throughput",), options)


@linktest.command()
@rfc2544_options
def latency(**options: object) -> int:
    """The latency at the throughput, for each size (RFC 2544 26.2).

    \b
    fieldtap linktest latency eth2 eth3 --short --limit latency=1ms
    """
    return _rfc2544("latency", ("throughput", "latency"), options)


@linktest.command()
@rfc2544_options
def loss(**options: object) -> int:
    """The share of frames lost at each load, from the highest down (RFC 2544 26.3).

    \b
    fieldtap linktest loss eth2 eth3 --sizes 512
    """
    return _rfc2544("loss", ("loss",), options)


@linktest.command("back-to-back")
@rfc2544_options
def back_to_back(**options: object) -> int:
    """The longest burst without loss: the buffer of a device (RFC 2544 26.4, RFC 9004).

    \b
    fieldtap linktest back-to-back eth2 eth3 --short --sizes 64
    """
    return _rfc2544("back-to-back", ("throughput", "back-to-back"), options)


@linktest.command()
@rfc2544_options
def recovery(**options: object) -> int:
    """How long a device still loses frames after an overload (RFC 2544 26.5).

    \b
    fieldtap linktest recovery eth2 eth3 --short --sizes 64
    """
    return _rfc2544("recovery", ("throughput", "recovery"), options)


@linktest.command()
@common_options
@click.option(
    "--profile",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The services, as TOML.",
)
@click.option("--step", default="5s", show_default=True, help="Length of a configuration step.")
@click.option(
    "--duration",
    default="15m",
    show_default=True,
    help="Length of the performance test: 15m, 2h and 24h are the standard's; 0 leaves it out.",
)
def y1564(profile: Path, step: str, duration: str, **options: object) -> int:
    """Are services set up as agreed, and do they hold together (ITU-T Y.1564)?

    A profile names each service, its frame size, rates and limits:

    \b
    [[service]]
    name = "voice"
    size = 128
    cir = "2Mbps"            # committed rate, layer 2
    eir = "1Mbps"            # excess rate
    policed = true           # what exceeds both must be dropped
    vlan = 100
    priority = 5
    flr = "0.1%"             # limits: loss, delay, its variation, availability
    ftd = "10ms"
    fdv = "2ms"
    avail = "99.9%"

    \b
    fieldtap linktest y1564 eth2 eth3 --profile site.toml --duration 2h
    """
    common, out, as_json = _common(options)
    if common.vlan_id is not None:
        raise CommandError("--vlan: a service's VLAN is in its profile", BAD_USAGE)
    services = profiles.read(profile)
    for service in services:
        common.check_sizes((service.frame_bytes,), tagged=service.vlan_id is not None)
        common.check_service(service)
    with naming("--step"):
        step_s = quantities.duration_s(step)
    with naming("--duration"):
        performance_s = 0.0 if duration == "0" else quantities.duration_s(duration)
    listener = _progress(quiet=as_json)
    bench = common.bench(SHORT_WAITS, listener)
    test = kinds.Y1564Test(bench, services, step_s, performance_s)
    return _run(test, common, out, listener, as_json=as_json)


@linktest.command("quick")
@common_options
def quick_command(**options: object) -> int:
    """Is this link clean? An answer in less than a minute.

    \b
    fieldtap linktest quick eth2 eth3 --direction both
    """
    common, out, as_json = _common(options)
    common.check_sizes(quick.sizes(common.vlan_id), tagged=common.vlan_id is not None)
    listener = _progress(quiet=as_json)
    bench = common.bench(SHORT_WAITS, listener, attempts=2)
    test = kinds.QuickTest(bench, common.ports, common.speed_bps)
    return _run(test, common, out, listener, as_json=as_json)


@linktest.command("soak")
@common_options
@click.option("--duration", default="1h", show_default=True, help="As in 30m, 12h or 72h.")
@click.option("--size", default=512, show_default=True, help="Of the frames, with FCS.")
@click.option(
    "--rate",
    default="50%",
    show_default=True,
    help="As in 10kpps, 100Mbps or 50% of what can be offered.",
)
@click.option("--allow", default="0%", show_default=True, help="Share of frames that may go.")
def soak_command(duration: str, size: int, rate: str, allow: str, **options: object) -> int:
    """A steady load for hours: is anything lost, and when?

    \b
    fieldtap linktest soak eth2 eth3 --duration 12h --rate 100Mbps
    """
    common, out, as_json = _common(options)
    with naming("--size"):
        sizes = quantities.sizes(str(size), common.vlan_id)
    common.check_sizes(sizes, tagged=common.vlan_id is not None)
    with naming("--rate"):
        quantities.frames_pps(rate, sizes[0], 1.0)
    with naming("--duration"):
        duration_s = quantities.duration_s(duration)
    with naming("--allow"):
        allowed = 100 * quantities.ratio(allow)
    listener = _progress(quiet=as_json)
    bench = common.bench(SHORT_WAITS, listener, attempts=1)
    test = kinds.SoakTest(
        bench, sizes[0], rate, duration_s, allowed, common.speed_bps, common.look_at_links
    )
    return _run(test, common, out, listener, as_json=as_json)


def _common(options: dict[str, object]) -> tuple[Common, Path | None, bool]:
    """Return what `common_options` collected."""
    names, forced = options["names"], options["forced"]
    vlan_id, speed, out = options["vlan_id"], options["speed"], options["out"]
    directions: dict[object, Directions] = {word: word for word in get_args(Directions)}
    common = Common(
        names if isinstance(names, tuple) else (),
        directions[options["directions"]],
        vlan_id if isinstance(vlan_id, int) else None,
        speed if isinstance(speed, str) else None,
        forced if isinstance(forced, tuple) else (),
        report_cli.occasion(options),
    )
    return common, out if isinstance(out, Path) else None, bool(options["as_json"])


def _progress(*, quiet: bool) -> "Progress":
    from fieldtap.linktest.progress import Progress  # Rich takes a tenth of a second to import

    return Progress(quiet=quiet)


def _run(
    test: session.Test, common: Common, out: Path | None, listener: "Progress", *, as_json: bool
) -> int:
    """Run `test`, deliver its report and return the exit code."""
    report_cli.prepare(out)
    about = words.seconds(round(1e9 * test.estimate_s()))
    text = f"this takes at least {about}, more where this machine is busy and trials are repeated"
    click.echo(f"fieldtap: {text}; Ctrl-C ends it with what there is", err=True)
    signal.signal(signal.SIGTERM, _as_interrupt)
    with listener:  # which has left the terminal before the report is printed
        report = session.run(test, common.ports)
    if report.interrupted and not report.trials:
        return INTERRUPTED
    report_cli.deliver(replace(report, occasion=common.occasion), out, as_json=as_json)
    return EXIT_CODES[report.verdict]


def _as_interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


linktest.add_command(report_cli.report_command)
