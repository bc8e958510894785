"""Stream files can say what TRex's own golden captures hold: the same frames, byte for byte."""

from pathlib import Path

import pytest
from capturefile import frames_of_any
from fieldlab import corpora
from stream_values import dry_run

NEAR = 'ethernet = { source = "00:00:01:00:00:01", destination = "00:00:00:00:00:00" }'
LAB = 'ethernet = { source = "18:18:18:18:18:18", destination = "10:10:10:10:10:10" }'
ZERO = 'ipv4 = { source = "0.0.0.0", destination = "192.0.0.1", dont_fragment = false }'
NET16 = (
    'ipv4 = { source = "16.0.0.1", destination = "48.0.0.1", id = 1, dont_fragment = false }\n'
    "udp = { source_port = 1025, destination_port = 12 }"
)
TCP = 'sequence = 1, acknowledgement = 1, flags = "", window = 4069'


def marks(count: int) -> str:
    return f'payload = {{ text = "{"!" * count}" }}'


def crosses(count: int) -> str:
    return f'payload = {{ text = "{"x" * count}" }}'


CASES = {
    "udp_1pkt_mpls": (
        f"size = 74\n{LAB}\n{NET16}\n{crosses(20)}\n"
        "mpls = [{ label = 17, class = 1, ttl = 255 }, { label = 12, class = 1, ttl = 12 }]"
    ),
    "udp_1pkt_mpls_vm": (
        f"size = 74\n{LAB}\n{NET16}\n{crosses(20)}\n"
        "mpls = [{ label = 17, class = 1, ttl = 255 },"
        " { label = { count = [1, 1048575] }, class = 1, ttl = 12 }]"
    ),
    "hlt_vlan_default": (
        f"size = 64\n{NEAR}\n{ZERO}\n{marks(2)}\n"
        "vlan = { id = 0, priority = 1, drop_eligible = true }\n"
        f"tcp = {{ source_port = 1024, destination_port = 80, {TCP} }}"
    ),
    "hlt_tcp_ranges": (
        f"size = 64\n{NEAR}\n{ZERO}\n{marks(6)}\n"
        "tcp = { source_port = { count = [1234, 1225] },"
        f" destination_port = {{ count = [1234, 1243] }}, {TCP} }}"
    ),
    "hlt_ipv6_default": (
        f"size = 168\n{NEAR}\n{marks(102)}\n"
        'ipv6 = { source = "fe80::12", destination = "fe80::22" }\n'
        "udp = { source_port = 1024, destination_port = 80 }"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_stream_file_says_what_trex_sent(tmp_path: Path, name: str) -> None:
    golden = frames_of_any(corpora() / f"trex/exp/{name}.pcap", tmp_path / "golden.pcap")
    assert golden
    toml = f"[[stream]]\nsignature = false\n{CASES[name]}\n"
    sent = [data for _, data in dry_run(tmp_path, toml, "--count", str(len(golden)))]
    for number, (got, wanted) in enumerate(zip(sent, golden, strict=True)):
        assert got.hex() == wanted.hex(), f"frame {number}"
