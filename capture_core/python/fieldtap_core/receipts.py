"""What a session says of itself, and what its files hold: `session/1`, `receipt/1`, `walk/1`.

Unknown fields are tolerated. Units are those of `messages`; names of files in a receipt are
relative to its directory.
"""

import subprocess
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from fieldtap_core.errors import EngineError, MalformedError
from fieldtap_core.messages import Count, Dropped
from fieldtap_core.programs import find_program

SESSION_NAME = "session.json"
RECEIPT_NAME = "receipt.json"
SIGNATURE_NAME = "receipt.json.sig"

Read = TypeVar("Read")


class Session(msgspec.Struct, frozen=True):
    """What was known when a session began; `session` is its id, 32 hexadecimal digits."""

    schema: Literal["fieldtap.session/1"]
    session: str
    name: str
    started_ns: Count


class ReceiptPort(msgspec.Struct, frozen=True):
    """One port's side of the ledger, in frames."""

    port: str
    offered: Count
    stored: Count
    filtered: Count
    excess: Count
    dropped: Dropped
    bytes_stored: Count


class ReceiptFile(msgspec.Struct, frozen=True):
    """One file as it was when it was complete. Sequences are null in files without chunks."""

    path: str
    packets: Count
    bytes: Count
    first_ns: Count | None
    last_ns: Count | None
    size_bytes: Count
    sha256: str | None
    late: Count = 0
    first_sequence: Count | None = None
    last_sequence: Count | None = None
    complete: bool = True


class Expired(msgspec.Struct, frozen=True):
    """Files that retention removed while the run lasted."""

    files: Count = 0
    packets: Count = 0
    bytes: Count = 0


class ReceiptReport(msgspec.Struct, frozen=True):
    """The capture's report, as far as files can prove or disprove it."""

    schema: Literal["fieldtap.capture-report/1"]
    balanced: bool | None
    lost: Count
    ports: tuple[ReceiptPort, ...]
    files: tuple[ReceiptFile, ...]
    expired: Expired = Expired()


class Receipt(msgspec.Struct, frozen=True):
    """What came of a session. `session_sha256` is that of session.json, null in old receipts."""

    schema: Literal["fieldtap.receipt/1"]
    session: str
    report: ReceiptReport
    session_sha256: str | None = None


class Chunks(msgspec.Struct, frozen=True):
    """The chunks of a file; sequences are null where it has none."""

    count: Count
    intact: Count
    first_sequence: Count | None
    last_sequence: Count | None


class Statistics(msgspec.Struct, frozen=True):
    """An interface's last statistics block; null is what it does not tell."""

    received: Count | None
    missed: Count | None
    accepted: Count | None
    os_drops: Count | None
    ring_drops: Count | None
    disk_drops: Count | None
    excess: Count | None


class WalkedInterface(msgspec.Struct, frozen=True):
    """One interface of a file."""

    name: str | None
    statistics: Statistics | None


class Gap(msgspec.Struct, frozen=True):
    """A place in a file that is not as the engine wrote it."""

    offset: Count
    what: str
    text: str


class Walk(msgspec.Struct, frozen=True):
    """What a file really holds. `error` says why it could be read only so far."""

    path: str
    error: str | None
    size_bytes: Count
    sha256: str | None
    packets: Count
    bytes: Count
    first_ns: Count | None
    last_ns: Count | None
    late: Count
    session: str | None
    chunks: Chunks
    interfaces: tuple[WalkedInterface, ...]
    gaps: tuple[Gap, ...]
    gap_count: Count


class _Walks(msgspec.Struct, frozen=True):
    schema: Literal["fieldtap.walk/1"]
    files: tuple[Walk, ...]


def parse(data: bytes, kind: type[Read], path: Path) -> Read:
    """Read one object; `path` is for the error. Raises `MalformedError`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"{path} is not what it should be: {error}") from None


def walk(path: Path) -> Walk:
    """Have `ft-extract --verify` read the whole file. Raises `EngineError`."""
    program = find_program("ft-extract")
    command = [str(program), "--verify", str(path.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise EngineError(f"cannot run {program}: {error.strerror}") from None
    if not done.stdout:
        said = done.stderr.decode(errors="replace").strip()
        raise EngineError(f"{path} could not be walked: {said or f'exit code {done.returncode}'}")
    files = parse(done.stdout, _Walks, path).files
    if len(files) != 1:
        raise EngineError(f"{path} could not be walked: {program} spoke of {len(files)} files")
    return files[0]
