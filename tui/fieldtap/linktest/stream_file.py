"""Flows as a stream file of ft-generate: what its plain options cannot say.

The two sides have the addresses of RFC 2544 C.2.2 and locally administered MACs, so that frames of
the one direction teach a switch where those of the other go.
"""

from collections.abc import Sequence

from fieldtap.linktest.trial import Direction, Flow

MACS = {"a": "02:00:c6:12:00:01", "b": "02:00:c6:13:00:01"}
ADDRESSES = {"a": "198.18.0.1", "b": "198.19.0.1"}


def is_plain(flows: Sequence[Flow]) -> bool:
    """Whether the options of ft-generate can say it: its own frames go from A to B, untagged."""
    return len(flows) == 1 and flows[0].direction == "a-b" and flows[0].vlan_id is None


def render(flows: Sequence[Flow]) -> str:
    """Return the file for flows of one direction, a stream each, in their order."""
    return "\n".join(_stream(index, flow) for index, flow in enumerate(flows))


def rate_word(rate_pps: float | None) -> str:
    """Return a rate in the words of the command contract."""
    return "max" if rate_pps is None else f"{rate_pps:.3f}pps"


def _stream(index: int, flow: Flow) -> str:
    near, far = _sides(flow.direction)
    lines = [
        "[[stream]]",
        f'name = "flow-{index}"',
        f"size = {flow.frame_bytes}",
    ]
    if flow.rate_pps is not None:  # top speed is what a file without any rate is sent at
        lines.append(f'rate = "{rate_word(flow.rate_pps)}"')
    if flow.count is not None:
        lines.append(f"count = {flow.count}")
    lines.append(f'ethernet = {{ source = "{MACS[near]}", destination = "{MACS[far]}" }}')
    if flow.vlan_id is not None:
        lines.append(f"vlan = {{ id = {flow.vlan_id}, priority = {flow.priority or 0} }}")
    lines.append(f'ipv4 = {{ source = "{ADDRESSES[near]}", destination = "{ADDRESSES[far]}" }}')
    return "\n".join([*lines, ""])


def _sides(direction: Direction) -> tuple[str, str]:
    return ("a", "b") if direction == "a-b" else ("b", "a")
