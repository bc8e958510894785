"""Rewriting meets the golden captures of tcprewrite, and of tcpreplay where it changes frames.

`tcpreplay/EXPECTED.tsv` of the corpora has a command and the capture that it gives on each line.
Each command is put into our words for a dry run, and the frames that it would send are compared
with those of the capture. A command that has no such words is here with the reason.
"""

import shlex
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import capturefile
import pytest
from fieldlab import LabError, corpora, ft_generate

NOT_OURS = {
    "test2.rewrite_layer2": "puts typed bytes in place of the link header, EtherType included: "
    "frames of ARP and IPv6 are IPv4 then; enet-smac, enet-dmac and enet-vlan say what is meant",
    "test2.rewrite_dltuser": "makes frames of another link type: ports here are Ethernet",
    "test2.rewrite_dlthdlc": "makes frames of another link type: ports here are Ethernet",
    "test2.rewrite_l7fuzzing": "damages payloads at random: no address, and nothing that a link "
    "test compares",
}
SHORT = {"-s": "seed", "-r": "portmap", "-e": "endpoints", "-N": "pnat", "-F": "fixlen"}
WITHOUT_VALUE = {
    "efcs", "fixcsum", "fixhdrlen", "mtu-trunc", "skip-soft-errors", "skipbroadcast",
    "skipl2broadcast", "unique-ip",
}  # fmt: skip
FIXES_CHECKSUMS_TOO = {"ttl", "mtu-trunc"}
"""With these tcprewrite computes every frame's checksums anew; ours needs `fixcsum` for that."""

RUN_TIMEOUT_S = 60
IPV4, IPV6, MPLS = 0x0800, 0x86DD, 0x8847
MIN_ETHERTYPE = 0x600
LAST_FRAME = 179
CACHE_HEADER_BYTES = 24
CACHE_CLIENT = 3
"""Two bits a packet: to be sent, and from the client."""


@dataclass
class Case:
    """A line of EXPECTED.tsv in our words."""

    expected: str
    source: str = ""
    rules: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


def ethertype(frame: bytes) -> int:
    return int.from_bytes(frame[12:14], "big")


def frames_of(name: str, scratch: Path) -> list[bytes]:
    frames = capturefile.frames_of_any(corpora() / "tcpreplay" / name, scratch)
    assert frames is not None, name
    return frames


def client_filter(cache: str, frames: list[bytes], *, arp_is_the_clients: bool) -> str:
    """Return a filter for the frames that a cache of tcpprep counts as the client's.

    In ARP requests tcprewrite takes the sender for the other end with `endpoints`, and only there.
    """
    packed = (corpora() / "tcpreplay" / cache).read_bytes()[CACHE_HEADER_BYTES:]
    servers: set[str] = set()
    for number, frame in enumerate(frames):
        if packed[number // 4] >> number % 4 * 2 & 3 == CACHE_CLIENT:
            continue
        kind = ethertype(frame)
        if kind == IPV4:
            servers.add("src host " + ".".join(str(octet) for octet in frame[26:30]))
        elif kind >= MIN_ETHERTYPE:
            servers.add(f"ether proto {kind:#x}")
    server = " or ".join(sorted(servers))
    return f"client=not ({server})" + (" or arp" if arp_is_the_clients else "")


def all_but(excluded: str) -> str:
    """Return the list of packets that another list leaves."""
    left = set(range(1, LAST_FRAME + 1))
    for part in excluded.split(","):
        first, dash, last = part.partition("-")
        end = int(last or LAST_FRAME) if dash else int(first)
        left -= set(range(int(first), end + 1))
    return ",".join(str(number) for number in sorted(left))


def add_option(case: Case, name: str, value: str) -> str | None:
    """Put one option into our words; return the name of a cache file that it needs."""
    match name:
        case "-i":
            case.source = value
        case "-c":
            return value
        case "-t":
            pass
        case "include":
            case.options += ["--packets", value]
        case "exclude":
            case.options += ["--packets", all_but(value)]
        case "loop":
            case.options += ["--loop", value]
        case "skip-soft-errors":
            case.options += ["-f", "not llc"]  # what tcprewrite cannot rewrite
        case _:
            rule = SHORT.get(name, name)
            case.rules.append(f"{rule}={value}" if value else rule)
            if rule in FIXES_CHECKSUMS_TOO:
                case.rules.append("fixcsum")
    return None


def translate(expected: str, arguments: str, scratch: Path) -> Case:
    """Put a command of tcprewrite or tcpreplay into our words."""
    case, cache = Case(expected), None
    words = shlex.split(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            case.source = word
            continue
        name, _, value = word.removeprefix("--").partition("=")
        takes_value = "=" not in word and name != "-t" and name not in WITHOUT_VALUE
        if takes_value:
            value = words.pop(0)
        cache = add_option(case, name, value) or cache
    if case.source == "test.rewrite_config":
        case.source = "test2.rewrite_config"  # as the case before wrote it
    if cache is not None:
        of_ends = any(rule.startswith("endpoints") for rule in case.rules)
        frames = frames_of(case.source, scratch)
        case.rules.append(client_filter(cache, frames, arp_is_the_clients=of_ends))
    return case


def lines() -> list[tuple[str, str]]:
    """Return the expected file and the arguments of each line."""
    try:
        text = (corpora() / "tcpreplay/EXPECTED.tsv").read_text()
    except (LabError, OSError):
        return []
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return [(expected, arguments) for expected, _, arguments in rows]


def sent(case: Case, folder: Path) -> list[bytes]:
    """Replay a case in a dry run; return the frames that a port would have been sent."""
    output = folder / "sent.pcapng"
    output.unlink(missing_ok=True)
    rules = [word for rule in case.rules for word in ("--rewrite", rule)]
    source = corpora() / "tcpreplay" / case.source
    argv = ft_generate("-o", f"file:{output}", "--replay", source, *rules, *case.options)
    subprocess.run(argv, check=True, timeout=RUN_TIMEOUT_S)
    return capturefile.read(output).frames


def without_later_loops_of_others(frames: list[bytes]) -> list[bytes]:
    """Leave out what tcpreplay does not send again with unique-ip: frames of no IP address."""
    later = [frame for frame in frames[LAST_FRAME:] if ethertype(frame) in (IPV4, IPV6, MPLS)]
    return frames[:LAST_FRAME] + later


@pytest.mark.skipif(not lines(), reason="no captures: set FIELDTAP_CORPORA")
@pytest.mark.parametrize(("expected", "arguments"), lines(), ids=[name for name, _ in lines()])
def test_frames_are_rewritten_as_in_the_golden_capture(
    tmp_path: Path, expected: str, arguments: str
) -> None:
    if expected in NOT_OURS:
        pytest.skip(f"does not apply: {NOT_OURS[expected]}")
    case = translate(expected, arguments, tmp_path / "scratch.pcap")
    frames = sent(case, tmp_path)
    if "unique-ip" in case.rules:
        frames = without_later_loops_of_others(frames)
    assert frames == frames_of(expected, tmp_path / "scratch.pcap")


def test_a_frame_that_was_cut_short_is_padded_or_left_out_or_tells_its_new_length(
    tmp_path: Path,
) -> None:
    whole = frames_of("test.pcap", tmp_path / "scratch.pcap")[20]
    cut = tmp_path / "cut.pcap"
    kept = 100
    capturefile.write_pcap(cut, [whole[:kept], whole])
    data = bytearray(cut.read_bytes())
    data[36:40] = struct.pack("<I", len(whole))
    cut.write_bytes(data)

    def after(*rules: str) -> list[bytes]:
        return sent(Case("", str(cut), list(rules)), tmp_path)

    assert after() == [whole[:kept], whole]
    assert after("fixlen=del") == [whole]
    padded, same = after("fixlen=pad")
    assert same == whole
    assert len(padded) == len(whole)
    assert padded[60:] == whole[60:kept] + bytes(len(whole) - kept)
    told, _ = after("fixlen=trunc")
    assert int.from_bytes(told[16:18], "big") == kept - 14
