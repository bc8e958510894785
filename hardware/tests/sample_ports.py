"""A port made for the purpose, which tests change to what they are about."""

from fieldtap_hardware.pci import PciFunction
from fieldtap_hardware.ports import Port

ADAPTER = PciFunction(
    address="0000:01:00.0",
    device_id="1924:0903",
    link_gtps=8.0,
    link_width=8,
    max_link_gtps=8.0,
    max_link_width=8,
    payload_bytes=128,
    removable=False,
    subsystem_id="1924:8002",
)
PORT = Port(
    name="eth0",
    index=4,
    virtual=False,
    model=None,
    driver="sfc",
    driver_version="6.1.0-21-amd64",
    firmware="6.2.7.1001 rx1 tx1",
    bus="pci",
    bus_address="0000:01:00.0",
    pci=(ADAPTER,),
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
    carrier_ups=1,
    carrier_downs=0,
)
