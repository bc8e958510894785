"""Compare a session's files with its receipt: what was recorded, is it all there and unchanged?

Reading (`open_session`, `receipts.walk`) is apart from judging: `judge` is a function of values.
A finding is one answered question; what cannot be answered is `unknown`, which is never `ok`.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from fieldtap_core import receipts, signing
from fieldtap_core.errors import EngineError, MalformedError
from fieldtap_core.receipts import Receipt, ReceiptFile, ReceiptPort, Session, Walk
from fieldtap_core.signing import Signature

Word = Literal["ok", "warn", "fail", "unknown", "not_applicable"]
Evidence = dict[str, str | int | float | bool | list[str] | None]

CAPTURE_SUFFIXES = (".pcapng", ".pcap", ".partial")
SIDECARS = (".idx", ".keep", ".torn")
DAMAGE = {
    "crc": "the bytes of a chunk are not those that were written",
    "session": "a chunk of another session is in it",
    "unmarked": "blocks in it belong to no intact chunk: frames were taken out, put in or changed",
    "structure": "it holds bytes that are no blocks",
    "cut": "it ends within a block",
    "mended": "it was mended after a crash; what could not be read is missing",
}


class Finding(msgspec.Struct, frozen=True):
    """One answered question about `subject`: a file, the receipt or the session."""

    id: str
    subject: str
    verdict: Word
    summary: str
    evidence: Evidence = {}
    remedy: str | None = None


@dataclass(frozen=True)
class SessionDir:
    """A session as it lies on disk. `receipt` is None where it has none."""

    path: Path
    session: Session
    receipt: Receipt | None
    signature: Signature | None
    names: tuple[str, ...]
    """Capture files that are there, complete or not."""
    session_sha256: str
    """Of session.json as it is there."""


def find_sessions(directory: Path) -> list[Path]:
    """Return `directory` and the folders in it that hold a session. Raises `OSError`."""
    candidates = [directory, *sorted(path for path in directory.iterdir() if path.is_dir())]
    marks = (receipts.SESSION_NAME, receipts.RECEIPT_NAME)
    return [path for path in candidates if any((path / mark).is_file() for mark in marks)]


def open_session(path: Path) -> SessionDir:
    """Read what a session says of itself. Raises `EngineError`."""
    session_path = path / receipts.SESSION_NAME
    described = _read(session_path)
    session = receipts.parse(described, Session, session_path)
    receipt_path = path / receipts.RECEIPT_NAME
    receipt, signature = None, None
    if receipt_path.exists():
        data = _read(receipt_path)
        receipt = receipts.parse(data, Receipt, receipt_path)
        if (path / receipts.SIGNATURE_NAME).exists():
            signature = signing.check(data, path / receipts.SIGNATURE_NAME)
    names = sorted(entry.name for entry in path.iterdir() if _is_capture(entry))
    sha256 = hashlib.sha256(described).hexdigest()
    return SessionDir(path, session, receipt, signature, tuple(names), sha256)


def verify(path: Path, progress: Callable[[Path], None] = lambda _: None) -> list[Finding]:
    """Walk every file of the session at `path` and judge it. Raises `EngineError`."""
    try:
        opened = open_session(path)
    except MalformedError as error:
        remedy = "find an untouched copy; the files can be walked alone: ft-extract --verify FILE"
        return [Finding("session.readable", path.name, "fail", str(error), {}, remedy)]
    walks = {}
    for name in opened.names:
        if not name.endswith(".partial"):
            progress(path / name)
            walks[name] = _walk(path / name)
    return judge(opened, walks)


def judge(opened: SessionDir, walks: Mapping[str, Walk]) -> list[Finding]:
    """Compare the receipt with what the walks found, by name of file."""
    findings = list(_judge_receipt(opened, walks))
    listed = {file.path: file for file in opened.receipt.report.files} if opened.receipt else {}
    for name in sorted({*listed, *walks}):
        if name not in walks:
            text = "the receipt lists it and it is not there"
            findings.append(Finding("file.present", name, "fail", text, {}, "find the file"))
            continue
        if opened.receipt is not None and name not in listed:
            findings.append(_stranger(name))
        findings += _judge_file(name, walks[name], listed.get(name), opened, walks)
    findings += [_unfinished(name) for name in opened.names if name.endswith(".partial")]
    findings += _judge_sequence(opened, walks)
    return findings


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EngineError(f"cannot read {path}: {error.strerror}") from None


def _is_capture(entry: Path) -> bool:
    name = entry.name
    if name.endswith(SIDECARS) or name.startswith(("session.json", "receipt.json")):
        return False
    return entry.is_file() and any(suffix in name for suffix in CAPTURE_SUFFIXES)


def _walk(path: Path) -> Walk:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise EngineError(f"cannot read {path}: {error.strerror}") from None
    return receipts.walk(path)


# --- the receipt --------------------------------------------------------------------------------


def _judge_receipt(opened: SessionDir, walks: Mapping[str, Walk]) -> Iterator[Finding]:
    name = receipts.RECEIPT_NAME
    if opened.receipt is None:
        yield Finding(
            "receipt.present",
            name,
            "unknown",
            "there is no receipt: the capture still runs, or did not come to its end",
            {},
            "stop the capture; after a crash, mend its files with ft-extract --repair",
        )
        return
    yield Finding("receipt.present", name, "ok", "the capture came to its end")
    same = opened.receipt.session == opened.session.session
    yield Finding(
        "receipt.session",
        name,
        "ok" if same else "fail",
        "it is this session's" if same else "it is the receipt of another session",
        {"receipt": opened.receipt.session, "session": opened.session.session},
        None if same else "find the receipt of this session",
    )
    yield from _judge_totals(opened.receipt, walks)
    yield from _judge_statistics(opened.receipt, walks)
    yield from _judge_ledger(opened.receipt)
    yield _judge_description(opened.receipt, opened.session_sha256)
    yield _judge_signature(opened.signature)


def _judge_description(receipt: Receipt, found: str) -> Finding:
    """Whether session.json, which says what was recorded and how, is the one of the receipt."""
    name, check, said = receipts.SESSION_NAME, "session.sha256", receipt.session_sha256
    evidence: Evidence = {"found": found, "receipt": said}
    if said is None:
        text = "the receipt does not say its SHA-256: anyone may have changed it"
        return Finding(check, name, "unknown", text, evidence)
    same = found == said
    text = "its SHA-256 is the receipt's" if same else "its SHA-256 is not the receipt's"
    return Finding(check, name, "ok" if same else "fail", text, evidence)


def _judge_signature(signature: Signature | None) -> Finding:
    name, check = receipts.SIGNATURE_NAME, "receipt.signature"
    if signature is None:
        text = "the receipt is not signed: anyone may have written it"
        return Finding(check, name, "unknown", text)
    evidence: Evidence = {"fingerprint": signature.fingerprint, "signer": signature.signer}
    if signature.valid is None:
        text = f"the signature cannot be checked: {signature.reason}"
        return Finding(check, name, "unknown", text, evidence, "install openssh-client")
    if not signature.valid:
        text = f"the receipt is not the one that was signed ({signature.reason})"
        remedy = "do not trust this receipt; find an untouched copy"
        return Finding(check, name, "fail", text, evidence, remedy)
    if signature.signer is None:
        text = f"signed with a key that is not known here: {signature.fingerprint}"
        folder = signing.key_dirs()[-1]
        remedy = (
            "compare the fingerprint with the one that the device shows; if it is the same, "
            f"add its public key to {folder / signing.ALLOWED_NAME}"
        )
        return Finding(check, name, "unknown", text, evidence, remedy)
    text = f"signed by {signature.signer}, key {signature.fingerprint}"
    return Finding(check, name, "ok", text, evidence)


def _lost(port: ReceiptPort) -> int:
    return port.dropped.kernel + port.dropped.ring + port.dropped.disk


def _judge_ledger(receipt: Receipt) -> Iterator[Finding]:
    """Add it up again."""
    report = receipt.report
    yield _judge_losses(report.lost, sum(port.dropped.total() for port in report.ports))
    if report.balanced is not True:
        verdict: Word = "unknown" if report.balanced is None else "fail"
        text = "the capture itself says that its ledger does not balance"
        yield Finding("receipt.balanced", receipts.RECEIPT_NAME, verdict, text)
    for port in report.ports:
        total = port.stored + port.filtered + port.excess + _lost(port)
        holds = total == port.offered
        lost = port.dropped.total()
        yield Finding(
            "receipt.ledger",
            port.port,
            "ok" if holds else "fail",
            f"{port.offered:,} frames offered, {total:,} accounted for"
            + (f", {lost:,} of them lost" if lost else ""),
            {"offered": port.offered, "accounted_for": total},
            None if holds else "do not trust this receipt",
        )


def _judge_losses(said: int, lost: int) -> Finding:
    """A true receipt may tell of losses: they are never passed over."""
    name, check, evidence = receipts.RECEIPT_NAME, "receipt.lost", {"lost": said, "by_ports": lost}
    if lost != said:
        text = f"it says {said:,} frames lost, and its ports say {lost:,}"
        return Finding(check, name, "fail", text, {**evidence}, "do not trust this receipt")
    if lost == 0:
        return Finding(check, name, "ok", "no frame was lost", {**evidence})
    remedy = "the receipt's ports say at which stage; statistics blocks in the files say when"
    return Finding(check, name, "warn", f"{lost:,} frames were lost", {**evidence}, remedy)


def _judge_totals(receipt: Receipt, walks: Mapping[str, Walk]) -> Iterator[Finding]:
    """What the files that are there hold, and those that expired held, is what was stored."""
    report = receipt.report
    listed = [walks[file.path] for file in report.files if file.path in walks]
    packets = sum(walk.packets for walk in listed) + report.expired.packets
    captured = sum(walk.bytes for walk in listed) + report.expired.bytes
    stored = sum(port.stored for port in report.ports)
    stored_bytes = sum(port.bytes_stored for port in report.ports)
    same = (packets, captured) == (stored, stored_bytes)
    yield Finding(
        "receipt.totals",
        receipts.RECEIPT_NAME,
        "ok" if same else "fail",
        f"{stored:,} frames stored by the ledger, {packets:,} by the files",
        {
            "stored": stored,
            "in_files": packets,
            "bytes_stored": stored_bytes,
            "bytes_in_files": captured,
        },
    )


def _judge_statistics(receipt: Receipt, walks: Mapping[str, Walk]) -> Iterator[Finding]:
    """The last statistics in the files, which the engine wrote there as the run ended."""
    listed = [walks[file.path] for file in receipt.report.files if file.path in walks]
    last = max(listed, key=lambda walk: walk.chunks.last_sequence or 0, default=None)
    if last is None or last.session is None:
        text = "the files carry no statistics"
        yield Finding("receipt.statistics", receipts.RECEIPT_NAME, "not_applicable", text)
        return
    told = [
        interface.statistics
        for interface in last.interfaces
        if interface.statistics is not None and interface.statistics.received is not None
    ]
    said = [
        {
            "received": port.offered,
            "accepted": port.offered - port.filtered,
            "missed": port.dropped.adapter,
            "os_drops": port.dropped.kernel,
            "ring_drops": port.dropped.ring,
            "disk_drops": port.dropped.disk,
            "excess": port.excess,
        }
        for port in receipt.report.ports
    ]
    wrong = [] if len(told) == len(said) else ["number of ports"]
    for port, mine, theirs in zip(receipt.report.ports, told, said, strict=False):
        wrong += [
            f"{port.port}: {key} {getattr(mine, key)} in the file, {value} in the receipt"
            for key, value in theirs.items()
            if getattr(mine, key) not in (value, None)
        ]
    yield Finding(
        "receipt.statistics",
        receipts.RECEIPT_NAME,
        "fail" if wrong else "ok",
        "; ".join(wrong) or "the last statistics in the files say the same",
        {"file": Path(last.path).name},
    )


# --- files --------------------------------------------------------------------------------------


def _stranger(name: str) -> Finding:
    text = "it is not of this session: the receipt does not list it"
    return Finding("file.listed", name, "warn", text, {}, "keep it elsewhere")


def _unfinished(name: str) -> Finding:
    text = "it was not completed, and is not read"
    remedy = "if no capture runs any more: ft-extract --repair"
    return Finding("file.complete", name, "unknown", text, {}, remedy)


def _judge_file(
    name: str,
    walk: Walk,
    file: ReceiptFile | None,
    opened: SessionDir,
    walks: Mapping[str, Walk],
) -> Iterator[Finding]:
    yield from _judge_structure(name, walk)
    if walk.session is not None:
        same = walk.session == opened.session.session
        yield Finding(
            "file.session",
            name,
            "ok" if same else ("fail" if file or opened.receipt is None else "warn"),
            "it is this session's" if same else "it is of another session",
            {"file": walk.session, "session": opened.session.session},
        )
    if file is None:
        return
    if not file.complete:
        text = "the capture could not complete it: its disk was full or failed"
        remedy = "the receipt's alarms say when; frames after that are in its ledger as dropped"
        yield Finding("file.complete", name, "warn", text, {}, remedy)
    yield _same("file.size", name, "bytes long", walk.size_bytes, file.size_bytes)
    yield _same("file.packets", name, "packets", walk.packets, file.packets)
    yield _same("file.bytes", name, "captured bytes", walk.bytes, file.bytes)
    yield _judge_stamps(name, walk, file)
    if file.first_sequence is not None or walk.session is not None:
        yield _judge_place(name, walk, file, opened, walks)
    yield _judge_hash(name, walk, file)


def _judge_structure(name: str, walk: Walk) -> Iterator[Finding]:
    """Whether it is as it was written, by itself."""
    kinds = dict.fromkeys(gap.what for gap in walk.gaps)
    for kind in kinds:
        gaps = [gap for gap in walk.gaps if gap.what == kind]
        text = DAMAGE.get(kind, "chunks are missing or stand in another order")
        verdict: Word = "warn" if kind == "mended" else "fail"
        evidence: Evidence = {
            "places": len(gaps),
            "first_offset": gaps[0].offset,
            "first": gaps[0].text,
        }
        yield Finding(f"file.{kind}", name, verdict, f"{text}: {gaps[0].text}", evidence)
    if walk.error is not None:
        yield Finding("file.structure", name, "fail", f"it cannot be read: {walk.error}")
    elif not kinds:
        count = walk.chunks.count
        text = f"{count:,} chunks, each as it was written" if count else "it reads to its end"
        evidence = {"chunks": count, "intact": walk.chunks.intact}
        yield Finding("file.crc", name, "ok" if count else "not_applicable", text, evidence)


def _same(check: str, name: str, what: str, found: int, said: int) -> Finding:
    same = found == said
    text = f"{found:,} {what}" if same else f"{found:,} {what}; the receipt says {said:,}"
    evidence: Evidence = {"found": found, "receipt": said}
    return Finding(check, name, "ok" if same else "fail", text, evidence)


def _judge_stamps(name: str, walk: Walk, file: ReceiptFile) -> Finding:
    evidence: Evidence = {"late": walk.late, "receipt_late": file.late}
    pairs = {
        "first stamp": (walk.first_ns, file.first_ns),
        "last stamp": (walk.last_ns, file.last_ns),
        "packets late": (walk.late, file.late),
    }
    wrong = [
        f"{what} {'none' if found is None else found}; the receipt says {said}"
        for what, (found, said) in pairs.items()
        if found != said
    ]
    text = f"{walk.late:,} packets late, first and last stamp as the receipt says"
    verdict: Word = "fail" if wrong else "ok"
    return Finding("file.stamps", name, verdict, ", ".join(wrong) or text, evidence)


def _judge_place(
    name: str, walk: Walk, file: ReceiptFile, opened: SessionDir, walks: Mapping[str, Walk]
) -> Finding:
    """Whether it holds the chunks that the receipt says it holds, or those of another file."""
    found = (walk.chunks.first_sequence, walk.chunks.last_sequence)
    said = (file.first_sequence, file.last_sequence)
    text = f"it holds chunks {_span(found)}"
    if found != said:
        text += f"; the receipt says {_span(said)}"
        listed = opened.receipt.report.files if opened.receipt else ()
        owner = next((f.path for f in listed if (f.first_sequence, f.last_sequence) == found), None)
        if owner is not None and owner != name:
            exchanged = owner in walks and walks[owner].chunks.first_sequence == said[0]
            text += f": those of {owner}" + (", with which it was exchanged" if exchanged else "")
    evidence: Evidence = {"found": _span(found), "receipt": _span(said)}
    return Finding("file.sequence", name, "ok" if found == said else "fail", text, evidence)


def _span(sequences: tuple[int | None, int | None]) -> str:
    first, last = sequences
    return "none" if first is None else f"{first} to {last}"


def _judge_hash(name: str, walk: Walk, file: ReceiptFile) -> Finding:
    evidence: Evidence = {"found": walk.sha256, "receipt": file.sha256}
    if file.sha256 is None or walk.sha256 is None:
        return Finding("file.sha256", name, "unknown", "the receipt has no SHA-256", evidence)
    same = walk.sha256 == file.sha256
    text = "its SHA-256 is the receipt's" if same else "its SHA-256 is not the receipt's"
    return Finding("file.sha256", name, "ok" if same else "fail", text, evidence)


def _judge_sequence(opened: SessionDir, walks: Mapping[str, Walk]) -> Iterator[Finding]:
    """Files of this session follow one another without a gap, from the run's first chunk on."""
    own = [
        (walk.chunks.first_sequence, walk.chunks.last_sequence, name)
        for name, walk in walks.items()
        if walk.session == opened.session.session and walk.chunks.first_sequence is not None
    ]
    if not own:
        return
    ordered = sorted(own, key=lambda entry: entry[0] or 0)
    wrong = list(_breaks(ordered, _first_expected(opened, ordered[0][0] or 0)))
    names = [name for _, _, name in ordered]
    text = f"chunks {ordered[0][0]} to {ordered[-1][1]} follow one another in {len(own)} files"
    if not wrong and names != sorted(names, key=lambda name: (len(name), name)):
        wrong = ["the files' names are not in the order of what they hold"]
    summary = "; ".join(wrong) or text
    verdict: Word = "fail" if wrong else "ok"
    yield Finding("session.sequence", opened.path.name, verdict, summary, {"files": len(own)})


def _first_expected(opened: SessionDir, found: int) -> int:
    """The run's first chunk, unless retention may have removed the files that held it."""
    if opened.receipt is None or opened.receipt.report.expired.files > 0:
        return found
    return 0


def _breaks(ordered: Sequence[tuple[int | None, int | None, str]], expected: int) -> Iterator[str]:
    for first, last, name in ordered:
        if first != expected:
            yield f"{name} begins with chunk {first} where {expected} should follow"
        expected = (last or 0) + 1
