"""Sessions and their receipts: whatever is changed afterwards is found, and named by its check."""

import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
from pathlib import Path

import capturefile
import pytest
from fieldlab import END_TIMEOUT_S, Json, LabError, ft_capture, program, tool

SOURCE = "synth:size=200,count=30000"
FRAME_BYTES = 196


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device key of the test's own."""
    if shutil.which("ssh-keygen") is None:
        raise LabError("ssh-keygen is not installed")
    path = tmp_path / "keys"
    monkeypatch.setenv("FIELDTAP_KEY_DIR", str(path))
    return path


def capture(directory: Path, *options: str) -> str:
    """Capture into `directory` until the end of the source; return what was said on stderr."""
    source = () if "-i" in options else ("-i", SOURCE)
    command = ft_capture(*source, "-w", f"{directory}/", *options)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=END_TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session of three files."""
    path = tmp_path / "session"
    capture(path, "-b", "packets:10000")
    assert len(captures(path)) == 3
    return path


def captures(session: Path) -> list[Path]:
    return sorted(session.glob("*.pcapng"))


def verify(path: Path, expected_code: int | None = None) -> Json:
    done = subprocess.run(
        [program("fieldtap"), "verify", str(path), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=END_TIMEOUT_S,
    )
    assert done.returncode in (0, 3), done.stderr
    assert expected_code in (None, done.returncode)
    report: Json = json.loads(done.stdout)
    assert report["schema"] == "fieldtap.check/1"
    return report


def named(report: Json, verdict: str) -> set[tuple[str, str]]:
    """Return (check, subject) of every check with `verdict`."""
    return {(c["id"], c["subject"]) for c in report["checks"] if c["verdict"] == verdict}


def keygen(*options: str | Path, data: bytes = b"") -> bytes:
    command = [tool("ssh-keygen"), *(os.fspath(option) for option in options)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def edit_receipt_to_match(session: Path, path: Path, packets: int, captured_bytes: int) -> None:
    """Do to the receipt all that a forger without the key can."""
    receipt_path = session / "receipt.json"
    receipt = json.loads(receipt_path.read_text())
    report = receipt["report"]
    file = next(file for file in report["files"] if file["path"] == path.name)
    data = path.read_bytes()
    report["ports"][0]["stored"] += packets - file["packets"]
    report["ports"][0]["offered"] += packets - file["packets"]
    report["ports"][0]["bytes_stored"] += captured_bytes - file["bytes"]
    file["packets"], file["bytes"] = packets, captured_bytes
    file["size_bytes"], file["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    receipt_path.write_text(json.dumps(receipt, indent=2))


def first_packet(data: bytes) -> tuple[int, int]:
    """Return where the first packet block of a file of ours is, and how long."""
    at = 0
    while True:
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 6:
            return at, length
        at += length


def remove_first_packet(path: Path) -> None:
    data = path.read_bytes()
    at, length = first_packet(data)
    path.write_bytes(data[:at] + data[at + length :])


def test_a_session_as_it_was_recorded_is_ok_and_says_whose_key_signed_it(
    session: Path, keys: Path
) -> None:
    report = verify(session, 0)
    assert report["verdict"] == "ok", [c for c in report["checks"] if c["verdict"] != "ok"]
    signed = next(c for c in report["checks"] if c["id"] == "receipt.signature")
    print_of_key = keygen("-lf", keys / "receipt_ed25519.pub").decode().split()[1]
    assert signed["evidence"]["fingerprint"] == print_of_key
    assert (keys / "receipt_ed25519").stat().st_mode & 0o777 == 0o600


def test_a_session_of_two_ports_is_ok_and_its_late_frames_are_counted(tmp_path: Path) -> None:
    capture(tmp_path / "two", "-i", SOURCE, "-i", f"{SOURCE},seed=2")
    report = verify(tmp_path / "two", 0)
    assert report["verdict"] == "ok", [c for c in report["checks"] if c["verdict"] != "ok"]


def test_a_session_that_was_copied_elsewhere_still_is_ok(session: Path, tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere"
    shutil.copytree(session, copied)
    shutil.rmtree(session)
    assert verify(copied, 0)["verdict"] == "ok"


def test_a_removed_frame_is_found(session: Path) -> None:
    path = captures(session)[1]
    remove_first_packet(path)
    failed = named(verify(session, 3), "fail")
    assert {(check, path.name) for check in ("file.packets", "file.sha256", "file.size")} <= failed
    assert ("receipt.totals", "receipt.json") in failed
    assert ("receipt.signature", "receipt.json.sig") not in failed


def test_a_changed_byte_is_found(session: Path) -> None:
    path = captures(session)[2]
    data = bytearray(path.read_bytes())
    data[first_packet(bytes(data))[0] + 28 + 60] ^= 1
    path.write_bytes(data)
    assert named(verify(session, 3), "fail") == {
        ("file.crc", path.name),
        ("file.sha256", path.name),
    }


def test_two_files_that_exchanged_their_names_are_found(session: Path) -> None:
    one, two, _ = captures(session)
    spare = session / "spare"
    one.rename(spare)
    two.rename(one)
    spare.rename(two)
    report = verify(session, 3)
    failed = named(report, "fail")
    assert {("file.sequence", one.name), ("file.sequence", two.name)} <= failed
    said = [c["summary"] for c in report["checks"] if c["id"] == "file.sequence"]
    assert any(f"those of {two.name}, with which it was exchanged" in text for text in said)


def test_a_receipt_that_was_edited_to_match_is_found_by_its_signature(session: Path) -> None:
    path = captures(session)[0]
    remove_first_packet(path)
    edit_receipt_to_match(session, path, 9999, 9999 * FRAME_BYTES)
    failed = named(verify(session, 3), "fail")
    assert ("receipt.signature", "receipt.json.sig") in failed
    assert not {("file.packets", path.name), ("file.sha256", path.name)} & failed


def test_an_edited_receipt_without_a_signature_is_never_ok(session: Path) -> None:
    receipt = session / "receipt.json"
    receipt.write_text(json.dumps(json.loads(receipt.read_text())))
    (session / "receipt.json.sig").unlink()
    report = verify(session, 0)
    assert report["verdict"] == "unknown"
    assert named(report, "unknown") == {("receipt.signature", "receipt.json.sig")}


def test_a_receipt_signed_with_a_key_that_is_not_known_is_never_ok_until_it_is_allowed(
    session: Path, tmp_path: Path, keys: Path
) -> None:
    receipt = session / "receipt.json"
    other = tmp_path / "other"
    keygen("-q", "-t", "ed25519", "-N", "", "-f", other)
    made = keygen("-Y", "sign", "-n", "fieldtap", "-f", other, data=receipt.read_bytes())
    (session / "receipt.json.sig").write_bytes(made)
    report = verify(session, 0)
    assert named(report, "unknown") == {("receipt.signature", "receipt.json.sig")}
    public = Path(f"{other}.pub").read_text()
    (keys / "allowed_signers").write_text(f"lab@example.org {public}")
    report = verify(session, 0)
    assert report["verdict"] == "ok"
    signed = next(c for c in report["checks"] if c["id"] == "receipt.signature")
    assert signed["evidence"]["signer"] == "lab@example.org"


def test_a_signature_made_for_another_purpose_does_not_count(session: Path, keys: Path) -> None:
    receipt = session / "receipt.json"
    key = keys / "receipt_ed25519"
    made = keygen("-Y", "sign", "-n", "file", "-f", key, data=receipt.read_bytes())
    (session / "receipt.json.sig").write_bytes(made)
    assert ("receipt.signature", "receipt.json.sig") in named(verify(session, 3), "fail")


def test_what_the_session_says_of_itself_is_signed_with_the_receipt(session: Path) -> None:
    path = session / "session.json"
    path.write_text(path.read_text().replace('"ft-capture"', '"tcpdump"'))
    assert named(verify(session, 3), "fail") == {("session.sha256", "session.json")}


def test_a_session_of_pcap_files_is_ok(tmp_path: Path) -> None:
    path = tmp_path / "old"
    capture(path, "-F", "pcap", "-b", "packets:10000")
    assert verify(path, 0)["verdict"] == "ok"


def test_a_missing_file_and_a_strange_one_are_named(session: Path) -> None:
    first, second, _ = captures(session)
    shutil.copy(first, session / "copy.pcapng")
    second.unlink()
    report = verify(session, 3)
    assert ("file.present", second.name) in named(report, "fail")
    assert ("file.listed", "copy.pcapng") in named(report, "warn")


def test_further_sessions_in_the_same_directory_are_verified_each(session: Path) -> None:
    said = capture(session)
    nested = next(path for path in session.iterdir() if path.is_dir())
    assert nested.name in said
    report = verify(session, 0)
    assert report["verdict"] == "ok"
    subjects = {check["subject"] for check in report["checks"]}
    assert {"receipt.json", f"{nested.name}/receipt.json"} <= subjects
    remove_first_packet(captures(nested)[0])
    assert {subject.split("/")[0] for _, subject in named(verify(session, 3), "fail")} == {
        nested.name
    }


def test_a_session_whose_engine_was_killed_is_unknown_and_its_files_are_still_checked(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "killed"
    argv = ft_capture(
        "-i", "synth:size=200,rate=20kpps", "-w", f"{directory}/", "-b", "packets:2000"
    )
    process = subprocess.Popen(argv)
    while len(captures(directory)) < 3:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait(END_TIMEOUT_S)
    report = verify(directory, 0)
    assert ("receipt.present", "receipt.json") in named(report, "unknown")
    assert ("session.sequence", "killed") in named(report, "ok")
    subprocess.run([program("ft-extract"), "--repair", str(directory)], check=True)
    report = verify(directory)
    assert not list(directory.glob("*.partial"))
    assert ("file.session", captures(directory)[-1].name) in named(report, "ok")
    assert capturefile.read(captures(directory)[0]).packets
    path = captures(directory)[0]
    remove_first_packet(path)
    assert ("file.unmarked", path.name) in named(verify(directory, 3), "fail")


def test_without_ssh_keygen_the_capture_goes_well_and_says_that_nothing_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ft_capture("-i", SOURCE, "-w", f"{tmp_path / 'plain'}/")
    monkeypatch.setenv("PATH", "/nowhere")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "is not signed: ssh-keygen cannot be run" in done.stderr
    monkeypatch.undo()


@pytest.mark.parametrize("make", [False, True], ids=["absent", "empty"])
def test_what_is_no_session_is_one_line_and_an_exit_code(tmp_path: Path, make: bool) -> None:
    path = tmp_path / "x"
    if make:
        path.mkdir()
    done = subprocess.run(
        [program("fieldtap"), "verify", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr


@pytest.mark.parametrize("name", ["session.json", "receipt.json"])
def test_a_session_or_receipt_that_cannot_be_read_is_a_failed_check(
    session: Path, name: str
) -> None:
    (session / name).write_text("{}")
    report = verify(session, 3)
    (check,) = [check for check in report["checks"] if check["verdict"] == "fail"]
    assert check["id"] == "session.readable"
    assert str(session / name) in check["summary"]
