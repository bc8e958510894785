"""Does a port keep quiet, and does nothing pass what it hears to another network?

A capture port must not be noticed: it has no address to answer for, and it is in no bridge or bond.
"""

import ipaddress

from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

# Kinds and drivers of devices that send what one port hears out of another.
JOINING = ("bridge", "bond", "bonding", "team", "openvswitch", "batadv", "hsr")


_Finding = tuple[Verdict, str, str | None] | None
"""Verdict, summary and remedy, where a question has an answer; None to go on asking."""


def check_silence(port: Port) -> Check:
    """`fail` where frames can be sent on for others, `warn` where the host itself can speak.

    Forwarding on a port without an address is harmless: the kernel routes only what is sent to the
    port's own MAC, which nobody learns from a silent port.
    """
    evidence: Evidence = {
        "master": port.master,
        "stacked": [f"{device.name} ({device.kind or 'unknown'})" for device in port.stacked],
        "addresses": list(port.addresses),
        "default_route": port.default_route,
        "forwarding": port.forwarding,
        "ipv6_autoconfigures": port.ipv6_autoconfigures,
    }
    finding = _joined(port) or _routes(port) or _speaks(port) or _carries(port) or _silent(port)
    verdict, summary, remedy = finding
    return Check("port.silent", port.name, verdict, summary, evidence, remedy)


def _joined(port: Port) -> _Finding:
    kinds = {device.name: device.kind for device in port.stacked}
    if port.master is not None:
        kind = kinds.get(port.master) or "device"
        remedy = f"take it out: `ip link set dev {port.name} nomaster`"
        return Verdict.FAIL, f"is part of the {kind} {port.master}", remedy
    for device in port.stacked:
        if device.kind in JOINING:
            remedy = f"remove what joins {port.name} to it: `ip link show type {device.kind}`"
            return Verdict.FAIL, f"is part of the {device.kind} {device.name}", remedy
    return None


def _routes(port: Port) -> _Finding:
    if not (port.forwarding and port.addresses):
        return None
    remedy = f"choose another port, or stop routing: {_forwarding_off(port)}"
    return Verdict.FAIL, "has addresses and routes for others", remedy


def _speaks(port: Port) -> _Finding:
    if port.default_route:
        remedy = "choose a port that the host does not need"
        return Verdict.WARN, "is the host's own way out (default route)", remedy
    if not port.addresses:
        return None
    interfaces = [ipaddress.ip_interface(address) for address in port.addresses]
    if all(interface.version == 6 and interface.is_link_local for interface in interfaces):
        summary = f"speaks IPv6 from the address that the kernel gave it, {port.addresses[0]}"
        return Verdict.WARN, summary, f"give it none: {_ipv6_off(port)}"
    remedy = f"remove them if nothing needs them: `ip address flush dev {port.name}`"
    return Verdict.WARN, f"answers for {', '.join(port.addresses)}", remedy


def _carries(port: Port) -> _Finding:
    if not port.stacked:
        return None
    names = ", ".join(device.name for device in port.stacked)
    remedy = f"remove it if nothing needs it: `ip link delete dev {port.stacked[-1].name}`"
    return Verdict.WARN, f"carries {names}, which can speak through it", remedy


def _silent(port: Port) -> tuple[Verdict, str, str | None]:
    summary = "has no address and is in no bridge or bond"
    if port.up or not port.ipv6_autoconfigures:
        return Verdict.OK, summary, None
    summary += "; once up, the kernel will give it an IPv6 address"
    return Verdict.OK, summary, f"to keep it silent then: {_ipv6_off(port)}"


def _ipv6_off(port: Port) -> str:
    return f"`sysctl -w net/ipv6/conf/{port.name}/disable_ipv6=1`"


def _forwarding_off(port: Port) -> str:
    return " and ".join(
        f"`sysctl -w net/{family}/conf/{port.name}/forwarding=0`" for family in ("ipv4", "ipv6")
    )
