"""Firmware and licences of ports made for the purpose; the tools' outputs are constructed."""

import sys
from collections.abc import Sequence

import pytest
from fieldtap_hardware import programs
from fieldtap_hardware.adapters import identify, shipped
from fieldtap_hardware.ethtool import Timestamping
from fieldtap_hardware.firmware import Firmware, check_firmware, read_firmware
from fieldtap_hardware.licensed_apps import Feature
from fieldtap_hardware.licenses import License, check_license, read_licenses
from fieldtap_hardware.pci import PciFunction
from fieldtap_hardware.ports import Port
from fieldtap_hardware.programs import Ask, ask_program
from fieldtap_hardware.verdicts import Unreadable
from msgspec.structs import replace

ADAPTER = PciFunction(
    address="0000:01:00.0",
    device_id="1924:0903",
    link_gtps=8.0,
    link_width=8,
    max_link_gtps=8.0,
    max_link_width=8,
    payload_bytes=None,
    removable=False,
)
STAMPS = Timestamping(
    phc_index=0, adapter_rx=True, adapter_rx_all=True, adapter_tx=True, host_rx=True, host_tx=True
)
PORT = Port(
    name="eth2",
    index=4,
    virtual=False,
    model="SFN7122F",
    driver="sfc",
    driver_version=None,
    firmware="6.2.7.1001 rx1 tx1",
    bus="pci",
    bus_address="0000:01:00.0",
    pci=(ADAPTER,),
    numa_node=None,
    mac=None,
    mtu_bytes=1500,
    speed_bps=None,
    up=True,
    carrier=True,
    rx_queues=1,
    tx_queues=1,
    timestamping=STAMPS,
    master=None,
    stacked=(),
    addresses=(),
    default_route=False,
    forwarding=False,
    ipv6_autoconfigures=False,
)
DEVLINK = """{"info":{"pci/0000:01:00.0":{"driver":"ice","versions":{
"running":{"fw.mgmt":"7.0.3","fw.undi":"1.3142.0"},"stored":{"fw.mgmt":"7.0.3","fw.undi":"%s"}}}}}
"""
SFUPDATE = """\
Solarflare firmware update utility [v8.2.2]

eth2 - MAC: 00-0F-53-00-00-01
    Firmware version:   v8.0.1
    Bundle version:     v8.0.1.1002

This utility contains more recent Bundle firmware [v8.5.2.1000]
"""
NVMUPDATE = """\
Num Description                          Ver.(hex)  DevId S:B    Status
=== ================================== ============ ===== ====== ==============
01) Intel(R) Ethernet Controller X710   8.00(8.00)   1572 00:001 Update not
                                                                 available
"""
MSTFWMANAGER = """\
<Devices><Device pciName="0000:01:00.0" psid="MT_2420110034"><Versions>
<FW current="14.21.2328" available="14.32.1010"/></Versions></Device></Devices>
"""
FWUPD = """{"Devices":[{"Name":"Thunderbolt host controller","DeviceId":"%s","Plugin":"thunderbolt",
"Vendor":"Lenovo","Version":"20.00"},{"Name":"Hub","DeviceId":"%s","Plugin":"vli","Version":"3.1"}]}
""" % ("1" * 40, "2" * 40)  # noqa: UP031 - the text is full of braces


def tools(**outputs: str) -> Ask:
    """Programs that print constructed outputs; the others are not installed."""

    def ask(command: Sequence[str]) -> bytes | Unreadable:
        output = outputs.get(command[0])
        return output.encode() if output else Unreadable(f"{command[0]} is not installed")

    return ask


def only(found: list[Firmware]) -> Firmware:
    (firmware,) = found
    return firmware


# --- firmware -------------------------------------------------------------------------------------


def test_without_a_tool_the_drivers_string_tells_the_firmware() -> None:
    firmware = only(read_firmware([PORT], tools()))
    assert (firmware.running, firmware.channel) == ("6.2.7.1001 rx1 tx1", "ethtool ioctl")
    identity = identify(PORT, shipped())
    assert identity is not None
    assert check_firmware(firmware, identity.family).verdict == "ok"
    assert check_firmware(firmware).verdict == "unknown"


def test_devlink_is_asked_before_the_vendors_tool() -> None:
    ask = tools(devlink=DEVLINK % "1.3142.0", sfupdate=SFUPDATE)
    firmware = only(read_firmware([PORT], ask))
    assert (firmware.channel, firmware.running, firmware.stored) == ("devlink", "7.0.3", "7.0.3")


def test_firmware_that_is_stored_and_does_not_run_is_a_warning_with_a_remedy() -> None:
    firmware = only(read_firmware([PORT], tools(devlink=DEVLINK % "1.4000.0")))
    check = check_firmware(firmware)
    assert (firmware.running, firmware.stored) == ("1.3142.0", "1.4000.0")
    assert check.verdict == "warn"
    assert "not running" in check.summary
    assert check.remedy is not None
    assert "off and on" in check.remedy


def test_sfupdate_tells_the_firmware_and_a_newer_image() -> None:
    firmware = only(read_firmware([PORT], tools(sfupdate=SFUPDATE)))
    assert (firmware.running, firmware.available) == ("v8.0.1.1002", "v8.5.2.1000")
    assert firmware.channel == "sfupdate"


@pytest.mark.parametrize(
    ("driver", "ask", "running"),
    [
        ("i40e", tools(nvmupdate64e=NVMUPDATE), "8.00(8.00)"),
        ("mlx5_core", tools(mstfwmanager=MSTFWMANAGER), "14.21.2328"),
        ("e1000e", tools(sfupdate=SFUPDATE), "6.2.7.1001 rx1 tx1"),
    ],
)
def test_a_vendors_tool_is_asked_about_its_own_adapters(
    driver: str, ask: Ask, running: str
) -> None:
    assert only(read_firmware([replace(PORT, driver=driver)], ask)).running == running


def test_half_a_listing_tells_no_firmware() -> None:
    firmware = only(read_firmware([PORT], tools(sfupdate=SFUPDATE[:200])))
    assert firmware.channel == "ethtool ioctl"


def test_fwupd_adds_thunderbolt_controllers_and_nothing_else() -> None:
    (_, controller) = read_firmware([PORT], tools(fwupdmgr=FWUPD))
    assert (controller.subject, controller.running) == ("Thunderbolt host controller", "20.00")
    assert controller.channel == "fwupdmgr"


def test_ports_without_an_adapter_have_no_firmware() -> None:
    ports = [replace(PORT, virtual=True), replace(PORT, bus="virtio")]
    assert read_firmware(ports, tools()) == []


def test_firmware_that_nobody_tells_is_unknown() -> None:
    firmware = only(read_firmware([replace(PORT, firmware=None)], tools()))
    check = check_firmware(firmware)
    assert check.verdict == "unknown"
    assert check.remedy is not None


# --- licences -------------------------------------------------------------------------------------

NO_CLOCK = replace(STAMPS, phc_index=None)
NO_TX = replace(STAMPS, adapter_tx=False)


@pytest.mark.parametrize(
    ("device_id", "stamping", "state", "verdict"),
    [
        ("1924:0903", STAMPS, "licensed", "ok"),
        ("1924:0903", NO_CLOCK, "missing", "warn"),
        ("1924:0903", None, "unknown", "unknown"),
        ("1924:0a03", STAMPS, "licensed", "ok"),
        ("1924:0a03", NO_TX, "missing", "warn"),
        ("1924:0b03", NO_TX, "missing", "warn"),
        ("1924:0b03", NO_CLOCK, "unknown", "unknown"),
    ],
)
def test_the_drivers_behaviour_tells_the_licence_for_timestamps(
    device_id: str, stamping: Timestamping | None, state: str, verdict: str
) -> None:
    found = timestamps(replace(PORT, pci=(replace(ADAPTER, device_id=device_id),)), stamping)
    check = check_license(found)
    assert (found.state, check.verdict) == (state, verdict)
    assert check.evidence["inferred"] is True
    assert state == "unknown" or "inferred" in check.summary
    assert (check.remedy is None) == (verdict == "ok")


def timestamps(port: Port, stamping: Timestamping | None) -> License:
    licenses = read_licenses([replace(port, timestamping=stamping)], tools())
    return next(found for found in licenses if found.feature is Feature.TIMESTAMPS)


@pytest.mark.parametrize("device_id", ["10ee:5084", "8086:1572", None])
def test_an_adapter_that_needs_no_key_has_no_licences(device_id: str | None) -> None:
    port = replace(PORT, pci=(replace(ADAPTER, device_id=device_id),))
    assert read_licenses([port], tools()) == []


def test_without_sfkey_the_other_features_are_unknown_and_say_why() -> None:
    others = read_licenses([PORT], tools())[1:]
    assert {found.feature for found in others} == set(Feature) - {Feature.TIMESTAMPS}
    assert all("sfkey is not installed" in found.reason for found in others)
    assert {check_license(found).verdict for found in others} == {"unknown"}


def test_what_sfkey_says_is_shown_and_never_ok() -> None:
    licenses = read_licenses([PORT], tools(sfkey="eth2:\n    Active: Onload\n"))
    onload = next(found for found in licenses if found.feature is Feature.ONLOAD)
    assert onload.state == "licensed"
    assert "unverified format" in onload.reason
    assert check_license(onload).verdict == "unknown"


# --- asking programs ------------------------------------------------------------------------------


def test_a_program_is_asked_in_english_and_its_output_returned() -> None:
    code = "import os; print(os.environ['LC_ALL'])"
    assert ask_program([sys.executable, "-c", code]) == b"C\n"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["no-such-reader"], "not installed"),
        (["sh", "-c", "echo must be root >&2; exit 3"], "must be root"),
        (["false"], "exit code 1"),
    ],
)
def test_a_program_that_cannot_answer_says_why(command: list[str], reason: str) -> None:
    answer = ask_program(command)
    assert isinstance(answer, Unreadable)
    assert reason in answer.reason


def test_a_reader_that_hangs_with_a_child_is_left_after_the_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(programs, "TIMEOUT_S", 0.2)
    answer = ask_program(["sh", "-c", "sleep 600 & sleep 600"])
    assert isinstance(answer, Unreadable)
    assert "no answer" in answer.reason
