"""A mistake in a stream file is told in one line that names file, stream and field."""

import re
from pathlib import Path

import pytest
from fieldlab import CHECKOUT
from stream_values import dry_run, generate

MISTAKES = {
    # What no table holds.
    'rate = "fast"': "rate: 'fast' is not a rate: a number above 0",
    "rate = 5": "rate: a number where a text",
    "seed = -1": "seed: -1 is not from 0",
    'seed = "x"': "seed: a text where a whole number",
    'late = "never"': "late: 'never' is none of catch-up",
    "speed = 1": "speed: there is no such key; there are seed, rate, late, stream",
    "stream = 1": "stream: begin each of the 1 to 256 streams with a line",
    "stream = [1]": "stream 'stream-0': a number where a table",
    # A stream's own keys.
    "[[stream]]\nsizes = 64": "stream 'stream-0', sizes: there is no such key; there are name,",
    '[[stream]]\nname = ""': "stream 'stream-0', name: a name has 1 to 63 bytes",
    "[[stream]]\nname = 1": "stream 'stream-0', name: a number where a text",
    '[[stream]]\nname = "a\\u0007"': "name: a name has no control characters",
    '[[stream]]\nname = "a"\n[[stream]]\nname = "a"': "stream 'a', name: streams 1 and 2",
    '[[stream]]\nrate = "1"': "stream 'stream-0', rate: '1' is not a rate",
    '[[stream]]\nrate = "max"': "stream 'stream-0', rate: top speed is for all streams",
    '[[stream]]\nrate = "1kpps"\n[[stream]]': "stream 'stream-0', rate: others share top speed",
    '[[stream]]\nrate = "10%"': "rate: 10%: the port does not tell its speed",
    '[[stream]]\nrate = "1pps"\nshare = 2': "stream 'stream-0', share: the stream has a rate",
    "[[stream]]\nshare = 0": "share: 0 is not from 1",
    '[[stream]]\npacing = "often"': "stream 'stream-0', pacing: give \"constant\" or",
    '[[stream]]\npacing = "poisson"': "pacing: gaps are drawn around a rate",
    "[[stream]]\nburst = 0": "stream 'stream-0', burst: 0 is not from 1",
    "[[stream]]\ncount = 1.5": "stream 'stream-0', count: a fraction where a whole number",
    "[[stream]]\nsignature = 1": "stream 'stream-0', signature: a number where true or false",
    "[[stream]]\nshare = true": "stream 'stream-0', share: true or false where a whole number",
    # Sizes.
    "[[stream]]\nsize = 63": "stream 'stream-0', size: 63 is not from 64",
    "[[stream]]\nsize = []": "stream 'stream-0', size: a list of 0 values",
    '[[stream]]\nsize = "big"': "stream 'stream-0', size: 'big' is not a number of bytes",
    "[[stream]]\nsize = { mix = [] }": "size: mix is a list of 1 to 32",
    "[[stream]]\nsize = { mix = [[64]] }": "size: each entry of mix is [SIZE, WEIGHT]",
    "[[stream]]\nsize = { mix = [[64, 0]] }": "size: 0 is not from 1",
    "[[stream]]\nsize = { mix = [[64, 999], [65, 2]] }": "size: the weights add up to 1001",
    "[[stream]]\nsize = { random = [100, 64] }": "size: the least comes first",
    "[[stream]]\nsize = { count = [64] }": "size: give a range as [FIRST, LAST]",
    "[[stream]]\nsize = { count = [64, 65], by = 2 }": "size.by: there is no such key",
    "[[stream]]\nsize = { count = [64, 65], step = 0 }": "size.step: 0 is not from 1",
    "[[stream]]\nsize = {}": "size: a table must hold count = [FIRST, LAST] or random",
    "[[stream]]\nsize = 64\nvlan = {}": "size: 64: headers, payload, signature and FCS need 68",
    "[[stream]]\nsize = 64\nipv6 = {}\nsignature = false": "size: 64: headers, payload and FCS",
    "[[stream]]\nsize = 65554": "stream 'stream-0', size: 65554 is not from 64 to 65553",
    # Payloads.
    '[[stream]]\npayload = "prose"': "stream 'stream-0', payload: give \"increment\"",
    '[[stream]]\npayload = { hex = "0" }': "payload: '0...' is not pairs of hexadecimal digits",
    '[[stream]]\npayload = { hex = "0g" }': "payload: '0g...' is not pairs",
    "[[stream]]\npayload = { hex = 1 }": "payload: give hex",
    '[[stream]]\npayload = { hex = "00", text = "a" }': "payload: give hex",
    "[[stream]]\npayload = { octets = 1 }": "payload.octets: there is no such key",
    # Headers.
    "[[stream]]\nvlan = 7": "stream 'stream-0', vlan: a number where a table",
    "[[stream]]\nvlan = [{}, {}, {}, {}, {}, {}, {}, {}, {}]": "vlan: 9 of them; give at most 8",
    "[[stream]]\nvlan = [{}, { id = 4096 }]": "vlan[1].id: 4096 is not from 0 to 4095",
    "[[stream]]\nvlan = { vid = 1 }": "vlan.vid: there is no such key; there are type, priority,",
    "[[stream]]\nmpls = { label = 1048576 }": "mpls.label: 1048576 is not from 0 to 1048575",
    "[[stream]]\nipv4.ttl = 300": "stream 'stream-0', ipv4.ttl: 300 is not from 0 to 255",
    '[[stream]]\nipv4.ttl = "x"': "ipv4.ttl: a text where a whole number",
    '[[stream]]\nipv4.source = "198.18.0"': "ipv4.source: '198.18.0' is not an address as in",
    "[[stream]]\nipv4.source = 1": "ipv4.source: a number where an address as in",
    '[[stream]]\nipv4.source = { random = "198.18.0.0/33" }': "the length of the prefix must be",
    '[[stream]]\nipv4.source = { random = "198.18.0.1/16" }': "has bits set behind the prefix",
    '[[stream]]\nipv4.source = { random = "198.18.0.0" }': "is not a prefix as in",
    '[[stream]]\nipv4.source = { random = "198.18/16" }': "'198.18' is not an address",
    "[[stream]]\nipv4.source = { random = 4 }": "ipv4.source: give a range as [FIRST, LAST] or",
    "[[stream]]\nipv4.dont_fragment = 1": "ipv4.dont_fragment: a number where true or false",
    "[[stream]]\nipv4.fragment_offset = 1": "fragment_offset: a later fragment has no udp header",
    "[[stream]]\nipv4.more_fragments = true": "signature: fragments carry none",
    "[[stream]]\nipv4 = {}\nipv6 = {}": "stream 'stream-0', ipv6: the stream has ipv4 already",
    "[[stream]]\nudp = {}\ntcp = {}": "stream 'stream-0', tcp: the stream has udp already",
    "[[stream]]\nipv4.protocol = 6\ntcp = {}": "ipv4.protocol: it follows from tcp",
    "[[stream]]\nipv6.next_header = 6\ntcp = {}": "ipv6.next_header: it follows from tcp",
    "[[stream]]\nethernet.type = 1\nipv4 = {}": "ethernet.type: it follows from the headers",
    "[[stream]]\nethernet.type = 1\nudp = {}": "udp: with ethernet.type the frame has no IP header",
    '[[stream]]\nethernet.source = "02:00"': "ethernet.source: '02:00' is not an address as in",
    '[[stream]]\nipv6.source = { random = "2001::/63" }': "the prefix must be 64 to 128",
    '[[stream]]\nipv6.source = ["2001::1", "2002::1"]': "differ in their first 64 bits",
    '[[stream]]\nipv6.source = { count = ["2001::1", "2002::1"] }': "both ends must agree",
    "[[stream]]\nipv6 = {}\nudp.checksum = false": "udp.checksum: over IPv6 a checksum is required",
    "[[stream]]\nudp.checksum = 1": "udp.checksum: a number where true or false",
    "[[stream]]\nudp.source_port = [1, 65536]": "udp.source_port: 65536 is not from 0 to 65535",
    '[[stream]]\ntcp.flags = "SX"': "tcp.flags: 'SX' is not letters of FSRPAUEC",
    "[[stream]]\ntcp.flags = 256": "tcp.flags: 256 is not from 0 to 255",
    # What is not TOML, or holds what nothing here is.
    "[[stream]\n": "line 1, column",
    "[[stream]]\nname = 1979-05-27": "a date, a time",
    "[[stream]]\nshare = inf": "a date, a time, a number that is not finite",
    "": "stream: begin each of the 1 to 256 streams",
}


@pytest.mark.parametrize("toml", MISTAKES)
def test_a_mistake_is_told_in_one_line(tmp_path: Path, toml: str) -> None:
    out = tmp_path / "out.pcapng"
    done = generate(tmp_path, toml, "-o", f"file:{out}", "--count", "1")
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert len(lines) == 1
    assert lines[0].startswith(f"ft-generate: {tmp_path / 'streams.toml'}: ")
    assert MISTAKES[toml] in lines[0]
    assert not out.exists()


def test_a_key_that_is_a_million_tables_deep_is_refused(tmp_path: Path) -> None:
    done = generate(tmp_path, "a." * 1_000_000 + "b = 1", "-o", f"file:{tmp_path}/x.pcap")
    assert done.returncode == 2
    assert "more than 16 dots outside quotes" in done.stderr


def test_a_stream_may_vary_in_sixteen_fields_only(tmp_path: Path) -> None:
    tags = ", ".join(["{ id = [1, 2], priority = [1, 2] }"] * 8)
    toml = f"[[stream]]\nvlan = [{tags}]\n"
    assert len(dry_run(tmp_path, toml, "--count", "1")) == 1
    done = generate(tmp_path, toml + "ipv4.ttl = [1, 2]\n", "-o", "file:x.pcap", "--count", "1")
    assert done.returncode == 2
    assert "stream 'stream-0', ipv4.ttl: at most 16 fields" in done.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--size", "64"), "--size and --streams"),
        (("--replay", "x.pcap"), "--streams and --replay"),
        (("--burst", "0"), "--burst: '0' is not"),
        (("--late", "never"), "--late: 'never' is none of"),
        (("--seed", "x"), "--seed: 'x' is not a number"),
        (("--rate", "1kpps"), "--rate: every stream of"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    toml = '[[stream]]\nrate = "1kpps"\n'
    done = generate(tmp_path, toml, "-o", f"file:{tmp_path / 'x.pcap'}", *options)
    assert done.returncode == 2
    assert why in done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = generate(tmp_path, "", "-o", "file:x.pcap", "--streams", str(tmp_path / "nowhere.toml"))
    assert done.returncode == 2
    assert "nowhere.toml: No such file" in done.stderr


def documented() -> list[str]:
    text = (CHECKOUT / "docs/streams.md").read_text()
    return re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("toml", documented())
def test_what_the_reference_shows_works(tmp_path: Path, toml: str) -> None:
    assert len(dry_run(tmp_path, toml, "--count", "100")) == 100


def test_the_error_that_the_reference_shows_is_the_one_told(tmp_path: Path) -> None:
    toml = '[[stream]]\nname = "voice"\nipv4.ttl = 300\n'
    done = generate(tmp_path, toml, "-o", "file:x.pcap")
    shown = "stream 'voice', ipv4.ttl: 300 is not from 0 to 255"
    assert shown in (CHECKOUT / "docs/streams.md").read_text()
    assert done.stderr.rstrip().endswith(shown)


@pytest.mark.parametrize(
    ("headers", "size"),
    [("", 64), ("vlan = {}", 68), ("vlan = [{}, {}]", 72), ("tcp = {}", 76), ("ipv6 = {}", 84)],
)
def test_without_a_size_frames_are_as_small_as_they_can_be(
    tmp_path: Path, headers: str, size: int
) -> None:
    sent = dry_run(tmp_path, f"[[stream]]\n{headers}\n", "--count", "1")
    assert len(sent[0][1]) + 4 == size
