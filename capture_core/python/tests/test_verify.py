"""Judging a session: what its receipt says against what its files hold."""

from pathlib import Path

import msgspec
import pytest
from fieldtap_core import verify
from fieldtap_core.errors import EngineError
from fieldtap_core.messages import Dropped
from fieldtap_core.receipts import (
    Chunks,
    Expired,
    Gap,
    Receipt,
    ReceiptFile,
    ReceiptPort,
    ReceiptReport,
    Session,
    Statistics,
    Walk,
    WalkedInterface,
    parse,
)
from fieldtap_core.signing import Signature, fingerprint
from fieldtap_core.verify import Finding, SessionDir

ID = "ab" * 16
NAMES = ("capture_00001.pcapng", "capture_00002.pcapng")
SHA256 = "cd" * 32
NONE_DROPPED = Dropped(0, 0, 0, 0)
PACKETS = 100
KNOWN = Signature(valid=True, fingerprint="SHA256:x", signer="this-device")


def a_walk(number: int) -> Walk:
    """File `number` of two, each of five chunks and a hundred packets of 60 bytes."""
    first = 5 * number
    received = PACKETS * (number + 1)
    told = Statistics(received, 0, received, 0, 0, 0, 0)
    return Walk(
        path=f"/x/{NAMES[number]}",
        error=None,
        size_bytes=8192,
        sha256=str(number) * 64,
        packets=PACKETS,
        bytes=60 * PACKETS,
        first_ns=first,
        last_ns=first + 4,
        late=0,
        session=ID,
        chunks=Chunks(5, 5, first, first + 4),
        interfaces=(WalkedInterface("eth2:rx", told), WalkedInterface("eth2:tx", None)),
        gaps=(),
        gap_count=0,
    )


WALKS = {name: a_walk(number) for number, name in enumerate(NAMES)}


def a_file(name: str) -> ReceiptFile:
    walk = WALKS[name]
    return ReceiptFile(
        path=name,
        packets=walk.packets,
        bytes=walk.bytes,
        first_ns=walk.first_ns,
        last_ns=walk.last_ns,
        size_bytes=walk.size_bytes,
        sha256=walk.sha256,
        late=walk.late,
        first_sequence=walk.chunks.first_sequence,
        last_sequence=walk.chunks.last_sequence,
    )


def a_session(
    *,
    signature: Signature | None = KNOWN,
    receipt: bool = True,
    stored: int = 2 * PACKETS,
    dropped: Dropped = NONE_DROPPED,
    lost: int = 0,
) -> SessionDir:
    port = ReceiptPort("eth2", 2 * PACKETS, stored, 0, 0, dropped, 60 * stored)
    files = tuple(a_file(name) for name in NAMES)
    report = ReceiptReport(
        "fieldtap.capture-report/1", balanced=True, lost=lost, ports=(port,), files=files
    )
    said = Receipt("fieldtap.receipt/1", ID, report, SHA256) if receipt else None
    session = Session("fieldtap.session/1", ID, "tap", 0)
    return SessionDir(Path("/x"), session, said, signature if receipt else None, NAMES, SHA256)


def changed(name: str, **fields: object) -> dict[str, Walk]:
    return WALKS | {name: msgspec.structs.replace(WALKS[name], **fields)}


def bad(findings: list[Finding]) -> set[tuple[str, str, str]]:
    good = ("ok", "not_applicable")
    return {(f.id, f.subject, f.verdict) for f in findings if f.verdict not in good}


def test_what_agrees_is_ok() -> None:
    assert bad(verify.judge(a_session(), WALKS)) == set()


@pytest.mark.parametrize(
    ("signature", "verdict"),
    [
        (None, "unknown"),
        (Signature(valid=None, reason="ssh-keygen is not installed"), "unknown"),
        (Signature(valid=True, fingerprint="SHA256:y"), "unknown"),
        (Signature(valid=False, reason="incorrect signature"), "fail"),
    ],
    ids=["unsigned", "unchecked", "unknown key", "invalid"],
)
def test_only_a_valid_signature_of_a_known_key_is_ok(
    signature: Signature | None, verdict: str
) -> None:
    found = bad(verify.judge(a_session(signature=signature), WALKS))
    assert found == {("receipt.signature", "receipt.json.sig", verdict)}


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        ({"size_bytes": 1}, "file.size"),
        ({"late": 3}, "file.stamps"),
        ({"first_ns": 1}, "file.stamps"),
        ({"sha256": "f" * 64}, "file.sha256"),
        ({"session": "cd" * 16}, "file.session"),
        ({"gaps": (Gap(4096, "crc", "chunk 2"),)}, "file.crc"),
        ({"gaps": (Gap(4096, "cut", "in a block"),)}, "file.cut"),
        ({"error": "not a capture"}, "file.structure"),
    ],
)
def test_each_difference_has_a_check_of_its_own(fields: dict[str, object], check: str) -> None:
    found = bad(verify.judge(a_session(), changed(NAMES[0], **fields)))
    assert (check, NAMES[0], "fail") in found


def test_a_missing_packet_shows_in_its_file_and_in_the_totals() -> None:
    found = bad(verify.judge(a_session(), changed(NAMES[1], packets=99)))
    assert found == {
        ("file.packets", NAMES[1], "fail"),
        ("receipt.totals", "receipt.json", "fail"),
    }


def test_a_ledger_that_does_not_add_up_is_found_whatever_it_says_of_itself() -> None:
    found = bad(verify.judge(a_session(stored=199), WALKS))
    assert ("receipt.ledger", "eth2", "fail") in found


def test_frames_that_the_capture_lost_are_told_with_its_ledger() -> None:
    opened = a_session(stored=2 * PACKETS - 7, dropped=Dropped(0, 3, 0, 4))
    (ledger,) = [f for f in verify.judge(opened, WALKS) if f.id == "receipt.ledger"]
    assert ledger.summary == "200 frames offered, 200 accounted for, 7 of them lost"


def test_a_true_receipt_of_a_capture_that_lost_frames_is_no_more_than_a_warning() -> None:
    found = verify.judge(a_session(dropped=Dropped(7, 0, 0, 0), lost=7), WALKS)
    assert ("receipt.lost", "receipt.json", "warn") in bad(found)
    found = verify.judge(a_session(dropped=Dropped(7, 0, 0, 0), lost=6), WALKS)
    assert ("receipt.lost", "receipt.json", "fail") in bad(found)


def test_a_file_that_the_capture_could_not_complete_is_told() -> None:
    opened = a_session()
    assert opened.receipt is not None
    files = (msgspec.structs.replace(a_file(NAMES[0]), complete=False), a_file(NAMES[1]))
    report = msgspec.structs.replace(opened.receipt.report, files=files)
    receipt = msgspec.structs.replace(opened.receipt, report=report)
    opened = SessionDir(opened.path, opened.session, receipt, KNOWN, NAMES, SHA256)
    assert bad(verify.judge(opened, WALKS)) == {("file.complete", NAMES[0], "warn")}


def test_statistics_in_the_files_that_say_otherwise_are_found() -> None:
    told = Statistics(2 * PACKETS + 7, 0, 2 * PACKETS + 7, 7, 0, 0, 0)
    walks = changed(NAMES[1], interfaces=(WalkedInterface("eth2:rx", told),))
    found = bad(verify.judge(a_session(), walks))
    assert found == {("receipt.statistics", "receipt.json", "fail")}


def test_chunks_that_are_missing_between_files_are_found_without_a_receipt_too() -> None:
    walks = changed(NAMES[1], chunks=Chunks(4, 4, 6, 9))
    found = bad(verify.judge(a_session(receipt=False), walks))
    assert found == {
        ("receipt.present", "receipt.json", "unknown"),
        ("session.sequence", "x", "fail"),
    }


def test_files_that_retention_removed_are_missed_by_no_check() -> None:
    opened = a_session()
    assert opened.receipt is not None
    report = msgspec.structs.replace(
        opened.receipt.report,
        files=(a_file(NAMES[1]),),
        expired=Expired(1, PACKETS, 60 * PACKETS),
    )
    receipt = msgspec.structs.replace(opened.receipt, report=report)
    opened = SessionDir(opened.path, opened.session, receipt, KNOWN, (NAMES[1],), SHA256)
    assert bad(verify.judge(opened, {NAMES[1]: WALKS[NAMES[1]]})) == set()


def test_what_is_no_receipt_is_an_error_with_its_path() -> None:
    with pytest.raises(EngineError, match=r"/x/receipt\.json is not what it should be"):
        parse(b"{}", Receipt, Path("/x/receipt.json"))


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 no!base64"])
def test_what_is_no_key_has_no_fingerprint(text: str) -> None:
    assert fingerprint(text) is None
