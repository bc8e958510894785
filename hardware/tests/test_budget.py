"""The arithmetic of PCI Express, against published tables and by hand."""

import struct

import pytest
from fieldtap_hardware.budget import (
    Basis,
    ceilings,
    link_ceiling,
    pcie_demand_bps,
    tunnel_ceiling,
    with_headers,
)
from fieldtap_hardware.pci import parse_payload_bytes
from hypothesis import given
from hypothesis import strategies as st

# Gb/s towards memory at line rate of 10GbE, from pcie-model: one, two and four ports with payloads
# of 128 bytes, two ports with 256.
UPSTREAM_GBPS = {
    64: (14.9, 29.7, 59.4, 29.7),
    128: (12.8, 25.5, 51.0, 25.5),
    256: (12.3, 24.7, 49.4, 23.0),
    1518: (12.0, 24.0, 47.9, 22.1),
}

# Gb/s left to transactions with payloads of 128 and 256 bytes, from the same.
USABLE_GBPS = {
    (2.5, 4): (6.2, 6.9),
    (5.0, 4): (13.9, 14.4),
    (5.0, 8): (27.6, 28.7),
    (8.0, 4): (28.4, 29.1),
    (8.0, 8): (56.7, 57.9),
    (16.0, 4): (56.9, 58.1),
}


@pytest.mark.parametrize("frame_bytes", UPSTREAM_GBPS)
def test_demand_agrees_with_the_published_model(frame_bytes: int) -> None:
    cases = [(1, 128), (2, 128), (4, 128), (2, 256)]
    for (ports, payload_bytes), gbps in zip(cases, UPSTREAM_GBPS[frame_bytes], strict=True):
        demand = pcie_demand_bps(ports * 10e9, frame_bytes, payload_bytes)
        assert demand == pytest.approx(gbps * 1e9, rel=0.02)


@pytest.mark.parametrize("link", USABLE_GBPS)
def test_computed_ceilings_agree_with_the_published_model(link: tuple[float, int]) -> None:
    for payload_bytes, gbps in zip((128, 256), USABLE_GBPS[link], strict=True):
        ceiling = link_ceiling(*link, payload_bytes)
        assert ceiling.bps == pytest.approx(gbps * 1e9, rel=0.02)
        assert ceiling.basis is Basis.COMPUTED


@pytest.mark.parametrize(("gtps", "faster"), [(2.5, 5.0), (8.0, 16.0), (16.0, 32.0), (32.0, 64.0)])
@pytest.mark.parametrize("payload_bytes", [128, 256, 512, 4096])
def test_a_faster_or_wider_link_carries_more(
    gtps: float, faster: float, payload_bytes: int
) -> None:
    assert link_ceiling(faster, 4, payload_bytes).bps > link_ceiling(gtps, 4, payload_bytes).bps
    wider = link_ceiling(gtps, 8, payload_bytes).bps
    assert wider == pytest.approx(2 * link_ceiling(gtps, 4, payload_bytes).bps)


def test_each_published_ceiling_names_its_source() -> None:
    for entry in ceilings().tunnel:
        found = tunnel_ceiling(entry.generation, 128)
        assert found is not None
        name, ceiling = found
        assert (name, ceiling.basis) == (entry.name, Basis.PUBLISHED)
        assert ceiling.source == entry.source != ""
        assert ceiling.bps == pytest.approx(entry.high_payload_gbps * 1e9 * 152 / 128)
        assert entry.low_payload_gbps <= entry.high_payload_gbps
    assert tunnel_ceiling(9, 128) is None


def test_payload_takes_a_header_each() -> None:
    assert with_headers(1.28e9, 128) == pytest.approx(1.52e9)


def config(payload_code: int, at: int = 0x70, before: int = 0x40) -> bytes:
    """A configuration space with a power management capability, then PCI Express."""
    space = bytearray(256)
    space[0x06] = 0x10
    space[0x34] = before
    space[before : before + 2] = bytes([0x01, at])
    space[at : at + 2] = bytes([0x10, 0])
    struct.pack_into("<H", space, at + 8, payload_code << 5)
    return bytes(space)


@pytest.mark.parametrize(("code", "payload_bytes"), [(0, 128), (1, 256), (5, 4096), (6, None)])
def test_the_payload_size_is_read_from_device_control(code: int, payload_bytes: int | None) -> None:
    assert parse_payload_bytes(config(code)) == payload_bytes


def test_what_an_unprivileged_reader_sees_tells_no_payload_size() -> None:
    assert parse_payload_bytes(config(1)[:64]) is None
    assert parse_payload_bytes(None) is None


@given(st.binary(max_size=256))
def test_any_configuration_space_is_read_within_its_bounds(space: bytes) -> None:
    assert parse_payload_bytes(space) in (None, 128, 256, 512, 1024, 2048, 4096)


def test_a_list_of_capabilities_that_is_a_loop_ends() -> None:
    space = bytearray(config(0))
    space[0x41] = 0x40
    assert parse_payload_bytes(bytes(space)) is None
