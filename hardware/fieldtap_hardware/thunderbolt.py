"""The Thunderbolt and USB4 tree, and which enclosure an adapter sits in.

From sysfs (Documentation/ABI/testing/sysfs-bus-thunderbolt). Nothing there ties a tunnelled PCI
function to the device it came through, so an adapter is attributed only where one device alone can
be it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyudev
from msgspec import Struct

from fieldtap_hardware.bandwidth import Tunnel, is_virtual, tunnel_port
from fieldtap_hardware.bolt import Enrolment, read_enrolment
from fieldtap_hardware.ports import Port
from fieldtap_hardware.programs import Ask, ask_program
from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

DOMAIN = re.compile(r"domain([0-9]{1,4})")
ROUTER = re.compile(r"([0-9]{1,4})-([0-9a-f]{1,16})")
GBPS = re.compile(r"([0-9]{1,3}(?:\.[0-9])?) Gb/s")
# What both lanes of a link carry when it runs as its generation can.
LINK_GBPS = {1: 10, 2: 20, 3: 40, 4: 40}
TUNNELLING = ("none", "user", "secure")
USB4 = 4
USB4_LANE_GBPS = 20  # above it, the second version of USB4, of which no ceiling is published


class Domain(Struct, frozen=True, kw_only=True):
    """One host controller's tree."""

    name: str  # "domain0"
    security: str | None  # "none", "user", "secure"; "dponly", "usbonly", "nopcie": no PCI Express
    iommu_protects: bool | None  # a device reaches only the memory that it was given


class Router(Struct, frozen=True, kw_only=True):
    """The host itself, or a device in the tree."""

    name: str  # "0-0" the host of domain 0, "0-1" what is plugged into it, "0-301" one behind
    vendor: str | None
    model: str | None
    unique_id: str | None
    authorized: bool | None  # None where PCI Express is not tunnelled at all
    generation: int | None  # 1 to 4; 4 is USB4
    lane_gbps: float | None  # towards the host, of each lane
    lanes: int | None
    nvm_version: str | None  # None also in safe mode, after an update that failed
    enrolment: Enrolment | None = None  # what bolt keeps of it

    @property
    def is_host(self) -> bool:
        return self.name.endswith("-0")

    @property
    def domain(self) -> str:
        return f"domain{self.name.partition('-')[0]}"

    @property
    def link_gbps(self) -> float | None:
        if self.lane_gbps is None or self.lanes is None:
            return None
        return self.lane_gbps * self.lanes

    @property
    def title(self) -> str:
        return " ".join(word for word in (self.vendor, self.model) if word) or self.name


class Tree(Struct, frozen=True):
    """All domains and routers; both empty without a controller, or while it is powered down."""

    domains: tuple[Domain, ...] = ()
    routers: tuple[Router, ...] = ()

    @property
    def devices(self) -> list[Router]:
        return [router for router in self.routers if not router.is_host]


def list_paths() -> list[Path]:
    """Where sysfs has the members of the thunderbolt bus."""
    return [
        Path(device.sys_path) for device in pyudev.Context().list_devices(subsystem="thunderbolt")
    ]


def read_tree(paths: Callable[[], Sequence[Path]] = list_paths, ask: Ask = ask_program) -> Tree:
    """Domains and routers by name; other members of the bus (services, retimers) are left out."""
    found = sorted(paths(), key=lambda path: path.name)
    return Tree(
        domains=tuple(_read_domain(path) for path in found if DOMAIN.fullmatch(path.name)),
        routers=tuple(_read_router(path, ask) for path in found if ROUTER.fullmatch(path.name)),
    )


def _read_domain(path: Path) -> Domain:
    protects = parse_int(read_text(path / "iommu_dma_protection"), 0, 1)
    return Domain(
        name=path.name,
        security=read_text(path / "security") or None,
        iommu_protects=None if protects is None else bool(protects),
    )


def _read_router(path: Path, ask: Ask) -> Router:
    unique_id = _line(path / "unique_id")
    is_host = path.name.endswith("-0")
    authorized = parse_int(read_text(path / "authorized"), 0, 2)
    speed = GBPS.fullmatch(read_text(path / "rx_speed") or "")
    return Router(
        name=path.name,
        vendor=_line(path / "vendor_name"),
        model=_line(path / "device_name"),
        unique_id=unique_id,
        authorized=None if authorized is None else authorized > 0,
        generation=parse_int(read_text(path / "generation"), 1, 16),
        lane_gbps=float(speed[1]) if speed else None,
        lanes=parse_int(read_text(path / "rx_lanes"), 1, 4),
        nvm_version=_line(path / "nvm_version"),
        enrolment=None if is_host else read_enrolment(unique_id, ask),
    )


def _line(path: Path) -> str | None:
    return (read_text(path) or "").partition("\n")[0] or None


class Attribution(Struct, frozen=True):
    """Which device a port's frames come through: certain where there is one candidate."""

    candidates: tuple[Router, ...]

    @property
    def enclosure(self) -> Router | None:
        return self.candidates[0] if len(self.candidates) == 1 else None


def attribute(port: Port, tree: Tree) -> Attribution | None:
    """The devices that may hold the port's adapter; None where it is not behind a tunnel."""
    if tunnel_port(port) is None:
        return None
    return Attribution(tuple(router for router in tree.devices if router.authorized))


def tunnels(ports: Sequence[Port], tree: Tree) -> Mapping[str, Tunnel]:
    """The tunnel that each port's frames come through, by the port's name, where that is certain.

    Left out is what no published ceiling is about: a link slower than its generation can, and a
    tunnel that shows one lane, which some hosts make up and on others is the truth (an AQC100 in
    USB4 of AMD was measured below 2 Gb/s).
    """
    found: dict[str, Tunnel] = {}
    for port in ports:
        attribution = attribute(port, tree)
        if attribution is None or (enclosure := attribution.enclosure) is None:
            continue
        generation = _generation(enclosure, tree)
        if generation is None or _is_slow(enclosure, generation) or _shows_one_lane(port):
            continue
        found[port.name] = Tunnel(enclosure.name, enclosure.title, generation)
    return found


def _shows_one_lane(port: Port) -> bool:
    return any(
        function.link_width == 1 and is_virtual(function, behind_tunnel=True)
        for function in port.pci
    )


def _generation(router: Router, tree: Tree) -> int | None:
    """The older of device and host decides how they speak; above USB4's first version, 5."""
    host = next((one for one in tree.routers if one.is_host and one.domain == router.domain), None)
    if router.generation is None or host is None or host.generation is None:
        return None
    generation = min(router.generation, host.generation)
    if generation == USB4 and (router.lane_gbps or 0) > USB4_LANE_GBPS:
        return generation + 1
    return generation


def _is_slow(router: Router, generation: int) -> bool:
    expected = LINK_GBPS.get(generation)
    return expected is not None and router.link_gbps is not None and router.link_gbps < expected


def check_enclosure(port: Port, tree: Tree) -> Check:
    """`ok` where the enclosure is certain, `unknown` where several or none can be it.

    `not_applicable` for an adapter in the machine itself.
    """
    attribution = attribute(port, tree)
    if attribution is None:
        where = "is virtual" if port.virtual else "its adapter is in the machine itself"
        return Check("port.enclosure", port.name, Verdict.NOT_APPLICABLE, where, {})
    names = [f"{router.name} {router.title}" for router in attribution.candidates]
    evidence: Evidence = {"candidates": names}
    if enclosure := attribution.enclosure:
        evidence |= {
            "device": enclosure.name,
            "generation": enclosure.generation,
            "link_gbps": enclosure.link_gbps,
            "nvm_version": enclosure.nvm_version,
        }
        summary = f"its adapter is in {enclosure.title} ({enclosure.name})"
        return Check("port.enclosure", port.name, Verdict.OK, summary, evidence)
    if names:
        summary = f"its adapter is in one of {', '.join(names)}"
        remedy = "leave only the enclosure plugged in, and check again"
    else:
        summary = "its adapter is behind an external port, but no authorised device is listed"
        remedy = "plug the enclosure in again, and look at thunderbolt.authorized"
    return Check("port.enclosure", port.name, Verdict.UNKNOWN, summary, evidence, remedy)


def check_tree(tree: Tree) -> list[Check]:
    """Every check of the tree: the security of each domain, then each device and its link."""
    checks = [_check_security(domain) for domain in tree.domains]
    for router in tree.devices:
        checks += [_check_authorized(router, tree), _check_link(router, tree)]
    return checks


def _check_security(domain: Domain) -> Check:
    """`fail` where PCI Express is not tunnelled, `warn` where anything plugged in reads memory."""
    evidence: Evidence = {
        "security": domain.security,
        "iommu_dma_protection": domain.iommu_protects,
    }
    verdict, remedy = Verdict.OK, None
    summary = f"security level {domain.security}"
    if domain.security is None:
        verdict, summary = Verdict.UNKNOWN, "does not tell its security level"
        remedy = "look for Thunderbolt security in the firmware setup"
    elif domain.security not in TUNNELLING:
        verdict, summary = Verdict.FAIL, f"{summary}: no adapter behind it can be used"
        remedy = "allow PCI Express tunnelling in the firmware setup (security level `user`)"
    elif domain.security == "none" and not domain.iommu_protects:
        verdict, summary = Verdict.WARN, f"{summary}: any device plugged in can read memory"
        remedy = "set security level `user` or kernel DMA protection (IOMMU) in the firmware setup"
    return Check("thunderbolt.security", domain.name, verdict, summary, evidence, remedy)


def _check_authorized(router: Router, tree: Tree) -> Check:
    """`fail` where it may not be used, `warn` where bolt will not let it in the next time."""
    evidence: Evidence = {
        "vendor": router.vendor,
        "model": router.model,
        "unique_id": router.unique_id,
        "authorized": router.authorized,
        "nvm_version": router.nvm_version,
        "bolt_stored": router.enrolment.stored if router.enrolment else None,
        "bolt_policy": router.enrolment.policy if router.enrolment else None,
    }
    verdict, remedy = Verdict.OK, None
    summary = f"{router.title} is authorised"
    if router.authorized is None:
        verdict, summary = Verdict.UNKNOWN, f"{router.title}: whether it may be used is not told"
        remedy = "see thunderbolt.security"
    elif not router.authorized:
        verdict, summary = Verdict.FAIL, f"{router.title} is plugged in, but not authorised"
        remedy = (
            f"if it is yours: `boltctl enroll {router.unique_id or 'UUID'}`, or as root "
            f"`echo 1 > /sys/bus/thunderbolt/devices/{router.name}/authorized`"
        )
    elif _is_let_in_once(router, tree):
        verdict, summary = Verdict.WARN, f"{summary} now, not when it is plugged in again"
        remedy = f"allow it for good: `boltctl enroll --policy auto {router.unique_id}`"
    return Check("thunderbolt.authorized", router.name, verdict, summary, evidence, remedy)


def _is_let_in_once(router: Router, tree: Tree) -> bool:
    """Whether bolt, which decides unless everything is let in, has not kept it as allowed."""
    domain = next((one for one in tree.domains if one.name == router.domain), None)
    if router.enrolment is None or domain is None or domain.security == "none":
        return False
    allowed = router.enrolment.policy == "auto" or (
        router.enrolment.policy == "iommu" and domain.iommu_protects
    )
    return not (router.enrolment.stored and allowed)


def _check_link(router: Router, tree: Tree) -> Check:
    generation = _generation(router, tree)
    evidence: Evidence = {
        "generation": generation,
        "lane_gbps": router.lane_gbps,
        "lanes": router.lanes,
        "link_gbps": router.link_gbps,
    }
    verdict, remedy = Verdict.OK, None
    summary = f"runs at {router.link_gbps:g} Gb/s" if router.link_gbps else ""
    if generation is None or router.link_gbps is None:
        verdict, summary = Verdict.UNKNOWN, "its generation or speed is not told"
        remedy = "plug it into a port of its own with the cable that came with it"
    elif _is_slow(router, generation):
        verdict = Verdict.WARN
        summary += f", generation {generation} can {LINK_GBPS[generation]}"
        remedy = "use a cable marked for 40 Gb/s, at most 0.8 m if it is passive, and another port"
    return Check("thunderbolt.link", router.name, verdict, summary, evidence, remedy)
