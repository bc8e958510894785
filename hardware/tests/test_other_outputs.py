"""Forms of output that no recording at hand has, each constructed after the tool's source.

sfkey's are constructed after nothing but words: no public output of it exists.
"""

import json

import pytest
from fieldtap_hardware.explain import Explanation, explain
from fieldtap_hardware.licensed_apps import APPS, Feature, find_apps
from hypothesis import given
from hypothesis import strategies as st

SFP_WITH_READINGS = """\
\tIdentifier                                : 0x03 (SFP)
\tVendor name                               : FINISAR CORP.
\tBR margin, min                            : 0%
\tOptical diagnostics support               : Yes
\tLaser bias current                        : 6.546 mA
\tReceiver signal average optical power     : 0.0000 mW / -inf dBm
\tModule temperature                        : 33.43 degrees C / 92.17 degrees F
\tModule voltage                            : 3.2878 V
\tAlarm/warning flags implemented           : Yes
\tLaser bias current high alarm             : Off
\tLaser rx power low warning threshold      : 0.0158 mW / -18.01 dBm
"""
LSPCI_VV = """\
01:00.0 Ethernet controller [0200]: Solarflare SFC9120 10G [1924:0903] (rev 01)
\tSubsystem: Solarflare SFN7122F-R2 [1924:8009]
\tControl: I/O+ Mem+ BusMaster+
\tNUMA node: 0
\tCapabilities: [70] Express (v2) Endpoint, MSI 00
\t\tDevCap:\tMaxPayload 512 bytes, PhantFunc 0
\t\tDevCtl:\tCorrErr+ NonFatalErr+
\t\t\tMaxPayload 256 bytes, MaxReadReq 512 bytes
\t\tLnkCap:\tPort #0, Speed 8GT/s, Width x8, ASPM L0s L1
\t\tLnkSta:\tSpeed 8GT/s, Width x4 (downgraded)
\tCapabilities: [d0] Vital Product Data
\t\tRead-only fields:
\t\t\t[PN] Part number: SFN7122F
\tKernel driver in use: sfc

"""
FS2 = """\
Image type:      FS2
FW Version:      2.42.5000
Description:     Node             Port1            Port2            Sys image
GUIDs:           f4521403001a2b30 f4521403001a2b31 f4521403001a2b32 f4521403001a2b33
PSID:            MT_1080120023
"""
BOLT_ASCII = """\
 * Sonnet Echo Express
   |- type:          peripheral
   |- name:          Echo Express
   |- vendor:        Sonnet
   |- uuid:          000b89c5-f4f8-0800-ffff-ffffffffffff
   |- status:        connected (no PCIe tunnels)
   |  |- rx speed:   40 Gb/s = 2 lanes * 20 Gb/s
   |  `- authflags:  none
   |- connected:     Sat Jan  6 10:22:23 2024
   `- stored:        no
"""
OLD_SFUPDATE = """\
Solarstorm firmware update utility [v4.6.6]

eth2 - MAC: 00-0F-53-00-00-01
    Controller type:    Solarflare SFC9100 family
    Controller version: v4.0.0.6684

This utility contains more recent controller firmware [v4.1.1.1020]
   - run "sfupdate --write" to perform an update
"""
UPDATE_DONE = """\
eth2: updating controller firmware from 3.2.1.6122 to 3.3.0.6275
eth2: will be disabled during controller firmware update
eth2: writing controller firmware
[ 10%] Complete\r[ 50%] Complete\r[100%] Complete
eth2: writing version information
"""
NEW_STAMPS = """\
Time stamping parameters for enp1s0:
Capabilities:
\thardware-transmit
\thardware-receive
\thardware-raw-clock
Hardware timestamp provider index: 0
Hardware timestamp provider qualifier: Precise (IEEE 1588 quality)
Hardware Transmit Timestamp Modes:
\toff
Hardware Receive Filter Modes:
\tnone
\tptpv2-event
"""
NVMUPDATE = """\
Intel(R) Ethernet NVM Update Tool
NVMUpdate version 1.37.1.1

Num Description                          Ver.(hex)  DevId S:B    Status
=== ================================== ============ ===== ====== ==============
01) Intel(R) Ethernet Converged         8.00(8.00)   1572 00:003 Update
    Network Adapter X710                                         available
"""
MSTFWMANAGER = """\
<Devices>
 <Device pciName="0000:03:00.0" type="ConnectX4LX" psid="MT_2420110034">
  <Versions><FW current="14.21.2328" available="14.32.1010"/></Versions>
  <Status> Update required</Status>
 </Device>
</Devices>
"""
PORT_STATE = """\
sending: GET PORT_DATA_SET
\t507c6f.fffe.0b5a4d-1 seq 0 RESPONSE MANAGEMENT PORT_DATA_SET
\t\tportIdentity            507c6f.fffe.0b5a4d-1
\t\tportState               SLAVE
\t\tlogMinDelayReqInterval  0
\t\tpeerMeanPathDelay       0
\t\tlogAnnounceInterval     1
\t\tannounceReceiptTimeout  3
\t\tlogSyncInterval         -3
\t\tdelayMechanism          1
\t\tlogMinPdelayReqInterval 0
\t\tversionNumber           2
"""
SFKEY_CONSTRUCTED = """\
Solarflare key utility [v8.2.4]
eth2 (SFN7122F-R2):
    Serial number: 712200205071133867100591284
    Active: Onload, Precision Time
    Invalid: SolarCapture Pro
    License key: ABCDE-FGHIJ-KLMNO-PQRST-UVWXY
    Key data: 4f 2a 1b 99 00 11 22 33 44 55 66 77
eth3:
    PTP: Not licensed
    SOLARCAPTURE_LIVE: Active
"""


def read(tool: str, text: str) -> Explanation:
    return explain(tool, text.encode())


@pytest.mark.parametrize(
    ("tool", "text", "subject", "values"),
    [
        (
            "ethtool-m",
            SFP_WITH_READINGS,
            "module",
            {
                "laser_bias_current_ma": 6.546,
                "receiver_signal_average_optical_power_mw": 0.0,
                "receiver_signal_average_optical_power_dbm": "-inf",
                "module_temperature_degrees_c": 33.43,
                "module_voltage_v": 3.2878,
                "laser_bias_current_high_alarm": "Off",
                "laser_rx_power_low_warning_threshold_dbm": -18.01,
            },
        ),
        (
            "lspci",
            LSPCI_VV,
            "01:00.0",
            {
                "vendor_id": "1924",
                "device_id": "0903",
                "subsystem_device_id": "8009",
                "numa_node": 0,
                "dev_cap_max_payload_bytes": 512,
                "dev_ctl_max_payload_bytes": 256,
                "lnk_cap_width": 8,
                "lnk_sta_width": 4,
                "lnk_sta_speed_gtps": 8.0,
                "lnk_sta_note": "downgraded",
                "vpd_pn": "SFN7122F",
                "kernel_driver_in_use": "sfc",
            },
        ),
        ("flint", FS2, "MT_1080120023", {"fw_version": "2.42.5000", "image_type": "FS2"}),
        (
            "boltctl",
            BOLT_ASCII,
            "000b89c5-f4f8-0800-ffff-ffffffffffff",
            {"status": "connected (no PCIe tunnels)", "rx_lanes": 2, "rx_lane_gbps": 20},
        ),
        (
            "sfupdate",
            OLD_SFUPDATE,
            "eth2",
            {"controller_version": "v4.0.0.6684", "available_controller": "v4.1.1.1020"},
        ),
        (
            "sfupdate",
            UPDATE_DONE,
            "eth2",
            {"controller_to": "3.3.0.6275", "controller_complete_percent": 100},
        ),
        (
            "ethtool-T",
            NEW_STAMPS,
            "enp1s0",
            {
                "hardware_timestamp_provider_index": 0,
                "hardware_receive_filter_modes": ["none", "ptpv2-event"],
            },
        ),
        (
            "nvmupdate",
            NVMUPDATE,
            "00:003",
            {
                "description": "Intel(R) Ethernet Converged Network Adapter X710",
                "ver_hex": "8.00(8.00)",
                "dev_id": "1572",
                "status": "Update available",
            },
        ),
        (
            "mstfwmanager",
            MSTFWMANAGER,
            "0000:03:00.0",
            {"fw_current": "14.21.2328", "psid": "MT_2420110034", "status": "Update required"},
        ),
        (
            "pmc",
            PORT_STATE,
            "507c6f.fffe.0b5a4d-1",
            {"port_state": "SLAVE", "log_sync_interval": -3},
        ),
    ],
)
def test_other_forms_of_a_tool_are_read_too(
    tool: str, text: str, subject: str, values: dict[str, object]
) -> None:
    explanation = read(tool, text)
    assert (explanation.verdict, explanation.reason) == ("ok", None)
    (item,) = explanation.items
    assert item.subject == subject
    assert {key: item.values.get(key) for key in values} == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "01:00.0 0200: 1924:0903 (rev 01)\n",
            {"class_id": "0200", "vendor_id": "1924", "device_id": "0903", "rev": "01"},
        ),
        (
            (
                "0000:00:1c.0 PCI bridge: Intel Port\n\tControl: I/O+\n"
                "\tI/O behind bridge: e000-efff [size=4K]\n"
                "\tBridgeCtl: Parity-\n\t\tPriDiscTmr-\n\n"
            ),
            {"class": "PCI bridge", "i_o_behind_bridge": "e000-efff [size=4K]"},
        ),
        ("01:00.0 3D controller: NVIDIA GP100\n", {"class": "3D controller"}),
    ],
)
def test_pci_devices_are_read_in_every_form(text: str, values: dict[str, object]) -> None:
    explanation = read("lspci", text)
    assert explanation.reason is None
    (item,) = explanation.items
    assert {key: item.values.get(key) for key in values} == values


@pytest.mark.parametrize(
    ("tool", "text", "verdict", "reason"),
    [
        ("devlink", '{"info":{}}\n', "not_applicable", "no device"),
        ("fwupd", '{"Devices":[]}\n', "not_applicable", "no device"),
        ("mstfwmanager", "<Devices></Devices>\n", "not_applicable", "no device"),
        ("devlink", "kernel answers: Operation not permitted\n", "unknown", "not permitted"),
        (
            "ethtool-i",
            "Cannot get driver information: No such device\n",
            "unknown",
            "No such device",
        ),
        ("ethtool-m", "netlink error: Operation not supported\n", "unknown", "not supported"),
        ("ethtool-m", "Offset\t\tValues\n------\t\t------\n", "unknown", "hex off"),
        ("flint", "-E- Can not open Device: 03:00.0.\n", "unknown", "Can not open Device"),
        ("fwupd", '{"Error": {"Message": "x"}}\n', "unknown", "could not list"),
        ("fwupd", "Lenovo\n│\n├─Hub:\n", "unknown", "--json"),
        ("sfupdate", "bash: sfupdate: command not found\n", "unknown", "command not found"),
        ("mstfwmanager", '<!DOCTYPE a [<!ENTITY b "c">]><Devices/>\n', "unknown", "XML"),
    ],
)
def test_what_a_tool_could_not_do_is_told(tool: str, text: str, verdict: str, reason: str) -> None:
    explanation = read(tool, text)
    assert (explanation.verdict, explanation.items) == (verdict, ())
    assert reason in (explanation.reason or "")


# --- licences -------------------------------------------------------------------------------------


def test_a_listing_of_sfkey_says_what_is_licensed_and_that_its_form_was_never_verified() -> None:
    explanation = read("sfkey", SFKEY_CONSTRUCTED)
    values = {item.subject: item.values for item in explanation.items}
    assert explanation.verdict == "unknown"
    assert "unverified format" in (explanation.reason or "")
    assert values["eth2"]["enables"] == ["onload", "timestamps"]
    assert values["eth2"]["serial_number"] == "712200205071133867100591284"
    assert values["eth2"]["invalid"] == "SolarCapture Pro"
    assert values["eth3"]["enables"] == ["solarcapture"]
    assert values["eth3"]["format"] == "unverified format"


def test_no_key_is_ever_shown() -> None:
    shown = json.dumps([item.values for item in read("sfkey", SFKEY_CONSTRUCTED).items])
    assert "ABCDE" not in shown
    assert "4f 2a" not in shown


@given(
    st.sampled_from(["License key: ", "Key: ", "Installed: ", "", "Data = ", "    "]),
    st.binary(min_size=16, max_size=64),
    st.sampled_from(["hex", "spaced", "groups"]),
)
def test_no_run_of_key_material_is_shown_wherever_it_stands(
    label: str, key: bytes, form: str
) -> None:
    text = {
        "hex": key.hex(),
        "spaced": key.hex(" "),
        "groups": "-".join(key.hex()[at : at + 5].upper() for at in range(0, 30, 5)),
    }[form]
    explanation = read("sfkey", f"eth2:\n    State: Active\n    {label}{text}\n{label}{text}\n")
    shown = json.dumps([(item.subject, item.values) for item in explanation.items])
    assert text[:14] not in shown
    assert text[:14] not in (explanation.reason or "")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Onload, SolarCapture Pro", ["ONLOAD", "SOLARCAPTURE_PRO"]),
        ("capture solarsystem 40G", ["CAPTURE_SOLARSYSTEM_40G"]),
        ("ScaleOut Onload", ["SCALEOUT_ONLOAD"]),
        ("TX_SNIFF", ["TX_SNIFF"]),
        ("nothing of note", []),
    ],
)
def test_the_longest_name_of_an_application_counts(text: str, names: list[str]) -> None:
    assert [app.name for app in find_apps(text)] == names


def test_each_application_has_a_bit_of_its_own() -> None:
    assert [app.bit for app in APPS] == [1 << n for n in range(len(APPS))]
    assert {app.feature for app in APPS if app.feature} < set(Feature)
