"""Ports made for tests: no machine is asked."""

from fieldtap_hardware.ports import Port

PORT = Port(
    name="eth0",
    index=4,
    virtual=False,
    model=None,
    driver="sfc",
    driver_version=None,
    firmware=None,
    bus="pci",
    bus_address="0000:01:00.0",
    pci=(),
    numa_node=None,
    mac="02:00:00:00:00:01",
    mtu_bytes=1500,
    speed_bps=10_000_000_000,
    up=True,
    carrier=True,
    rx_queues=1,
    tx_queues=1,
    timestamping=None,
    master=None,
    stacked=(),
    addresses=(),
    default_route=False,
    forwarding=False,
    ipv6_autoconfigures=False,
)
