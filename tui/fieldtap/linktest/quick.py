"""Is this link clean? An answer in less than a minute, as checks with verdicts."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fieldtap_hardware.ports import Port
from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

from fieldtap.linktest import figures, quantities
from fieldtap.linktest.bench import (
    Bench,
    Ceiling,
    InvalidTestError,
    find_ceiling,
    is_doubtful,
    tell_doubt,
)
from fieldtap.linktest.trial import Trial, TrialResult

UNTAGGED_SIZES = (64, 512, 1518)
LOADS_PERCENT = (10, 50, 90)
LOAD_S = 1.5
FLOOD_S = 2.0

PROVED = "link.proved"
"""The check that names the highest load that was proved."""

LITTLE_PERCENT = 1.0
"""Of the line: a link that carries so little is proved to carry little."""

ERROR_COUNTERS = ("rx_crc_errors", "rx_frame_errors", "rx_length_errors", "rx_errors", "tx_errors")
"""Of /sys/class/net/PORT/statistics: what a bad cable, connector or module makes grow."""

BAD = ("lost", "corrupt", "duplicate", "reordered")
"""What becomes of frames on a link that is not clean; the first may be this machine's doing."""

Counters = dict[str, int]


def sizes(vlan_id: int | None) -> tuple[int, ...]:
    """Return the sizes of the frames, each with the tag of a VLAN."""
    return quantities.tagged(UNTAGGED_SIZES, vlan_id)


def read_counters(port: str) -> Counters:
    """Return the error counters of a port; those that its driver does not have are absent."""
    folder = Path("/sys/class/net", port, "statistics")
    read = {name: parse_int(read_text(folder / name), 0, (1 << 64) - 1) for name in ERROR_COUNTERS}
    return {name: value for name, value in read.items() if value is not None}


def check_link(port: Port) -> Check:
    """`ok` where the port is up and has a link."""
    evidence: Evidence = {"up": port.up, "carrier": port.carrier, "speed_bps": port.speed_bps}
    if not port.up:
        remedy = f"switch it on: ip link set {port.name} up"
        return Check("link.state", port.name, Verdict.FAIL, "is down", evidence, remedy)
    if port.carrier is False:
        remedy = "check cable, module and the other end"
        return Check("link.state", port.name, Verdict.FAIL, "has no link", evidence, remedy)
    speed = "" if port.speed_bps is None else f" at {port.speed_bps / 1e9:g} Gbit/s"
    return Check("link.state", port.name, Verdict.OK, f"has a link{speed}", evidence)


def check_speeds(ports: Sequence[Port]) -> Check:
    """`ok` where both ends say the same; `unknown` where one says nothing."""
    names = " and ".join(port.name for port in ports)
    speeds = {port.speed_bps for port in ports}
    evidence: Evidence = {port.name: port.speed_bps for port in ports}
    if None in speeds:
        return Check("link.speed", names, Verdict.NOT_APPLICABLE, "tell no speed", evidence)
    if len(speeds) == 1:
        return Check("link.speed", names, Verdict.OK, "have the same speed", evidence)
    remedy = "behind a device that is no fault; on one cable, set both ends to negotiate"
    return Check("link.speed", names, Verdict.WARN, "differ in speed", evidence, remedy)


def check_errors(port: str, before: Counters, after: Counters) -> Check:
    """`ok` where no error counter of the port has grown during the test."""
    grown = {name: after[name] - before[name] for name in before if name in after}
    evidence: Evidence = dict(grown)
    bad = [f"{name} grew by {number:,}" for name, number in grown.items() if number > 0]
    if not grown:
        return Check("link.errors", port, Verdict.UNKNOWN, "counts no errors", evidence)
    if bad:
        remedy = "clean or change cable, connector and module, one at a time"
        return Check("link.errors", port, Verdict.FAIL, "; ".join(bad), evidence, remedy)
    return Check("link.errors", port, Verdict.OK, "counted no errors", evidence)


def check_proved(checks: Sequence[Check]) -> list[Check]:
    """Name the highest share of the line at which every frame came; empty where none did."""
    proved = [
        (percent, check.subject)
        for check in checks
        if check.verdict in (Verdict.OK, Verdict.WARN)
        and isinstance(percent := check.evidence.get("percent_of_line"), float)
    ]
    if not proved:
        return []
    percent, subject = max(proved)
    evidence: Evidence = {"percent_of_line": percent}
    summary = f"{percent:.3g} % of the line, {subject.partition(' (')[0]}"
    if percent >= LITTLE_PERCENT:
        return [Check(PROVED, "highest load proved", Verdict.OK, summary, evidence)]
    summary += ": hardly any load, so that a fault under load would not have been seen"
    remedy = "test with a machine that sends faster, or has less to do"
    return [Check(PROVED, "highest load proved", Verdict.WARN, summary, evidence, remedy)]


def run(
    bench: Bench,
    ports: Sequence[Port],
    speed_bps: float,
    checks: list[Check],
    counters: Callable[[str], Counters],
) -> None:
    """Load the link and add what was found to `checks`; without a link, that is all there is."""
    checks += [check_link(port) for port in ports]
    if any(check.verdict == Verdict.FAIL for check in checks):
        return
    checks.append(check_speeds(ports))
    before = {port.name: counters(port.name) for port in ports}
    for frame_bytes in sizes(bench.vlan_id):
        checks += _load(bench, frame_bytes, figures.line_pps(speed_bps, frame_bytes))
    checks += check_proved(checks)
    checks += [check_errors(port.name, before[port.name], counters(port.name)) for port in ports]


def estimate_s(bench: Bench) -> float:
    """Return about how long the test takes, in seconds."""
    trials = len(LOADS_PERCENT) * (LOAD_S + bench.waits.settle_s + bench.waits.learning_s + 1)
    return len(UNTAGGED_SIZES) * (trials + FLOOD_S + 3)


def _load(bench: Bench, frame_bytes: int, line: float) -> list[Check]:
    """Run the loads of one size, then a flood."""
    try:
        ceiling = find_ceiling(bench, frame_bytes, line)
    except InvalidTestError as error:
        subject = f"{frame_bytes} bytes"
        return [Check("link.load", subject, Verdict.UNKNOWN, str(error), {})]
    loads = [_check_load(bench, frame_bytes, ceiling, percent) for percent in LOADS_PERCENT]
    return [*loads, _check_flood(bench, frame_bytes, line)]


def _check_load(bench: Bench, frame_bytes: int, ceiling: Ceiling, percent: int) -> Check:
    rate = ceiling.highest_pps * percent / 100
    share = 100 * rate / ceiling.line_pps
    subject = f"{frame_bytes} bytes at {rate:,.0f} frames/s ({share:.3g} % of the line)"
    flows = bench.flows(frame_bytes, rate)
    try:
        result = bench.run_verified(Trial(purpose="quick", flows=flows, duration_s=LOAD_S))
    except InvalidTestError as error:
        return Check("link.load", subject, Verdict.UNKNOWN, str(error), {})
    return _check_frames("link.load", subject, result, share)


def _check_flood(bench: Bench, frame_bytes: int, line: float) -> Check:
    subject = f"{frame_bytes} bytes at top speed"
    flows = bench.flows(frame_bytes, None)
    result = bench.run_once(Trial(purpose="flood", flows=flows, duration_s=FLOOD_S))
    if not result.valid:
        summary = f"is not judged: {result.invalid_reason}"
        return Check("link.flood", subject, Verdict.NOT_APPLICABLE, summary, {})
    percent = 100 * min(flow.sent_pps for flow in result.flows) / line
    return _check_frames("link.flood", subject, result, min(100.0, percent))


def _check_frames(check_id: str, subject: str, result: TrialResult, percent: float) -> Check:
    """`ok` where every frame came once, whole and in order, and no others came in between."""
    counts = {
        kind: sum(getattr(flow, kind) for flow in result.flows)
        for kind in ("sent", "lost", "corrupt", "duplicate", "reordered", "foreign")
    }
    evidence: Evidence = {**counts, "percent_of_line": percent}
    bad = [f"{counts[kind]:,} {kind}" for kind in BAD if counts[kind]]
    if is_doubtful(result) and not any(counts[kind] for kind in BAD[1:]):
        summary = f"of {counts['sent']:,} frames {bad[0]}: {tell_doubt([result])}"
        return Check(check_id, subject, Verdict.UNKNOWN, summary, evidence)
    if bad:
        summary = f"of {counts['sent']:,} frames {', '.join(bad)}"
        remedy = "repeat on another cable or port to see which part it follows"
        return Check(check_id, subject, Verdict.FAIL, summary, evidence, remedy)
    if counts["foreign"]:
        summary = f"all {counts['sent']:,} frames came, and {counts['foreign']:,} of others"
        return Check(check_id, subject, Verdict.WARN, summary, evidence, "disconnect who sends")
    summary = f"all {counts['sent']:,} frames came once and in order"
    return Check(check_id, subject, Verdict.OK, summary, evidence)
