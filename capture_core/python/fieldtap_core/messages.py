"""What an engine says over its control socket, as typed values.

Unknown fields are tolerated, so that an older client reads a newer engine; a missing or mistyped
field is a `ProtocolError`. Times are nanoseconds since 1970 UTC, counts are since the start of the
run, bytes are captured bytes without the frame check sequence.
"""

from typing import Annotated, Literal, TypeVar

import msgspec

from fieldtap_core.errors import ProtocolError, RefusedError

LINE_LIMIT_BYTES = 4 * 1024 * 1024
"""No message is longer: a peer that sends more on one line is not an engine."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
Result = TypeVar("Result")


class Dropped(msgspec.Struct, frozen=True):
    """Frames that were offered and not stored, by the place that lost them."""

    adapter: Count
    kernel: Count
    ring: Count
    disk: Count

    def total(self) -> int:
        """Return the frames lost to all causes together."""
        return self.adapter + self.kernel + self.ring + self.disk


class CapturePort(msgspec.Struct, frozen=True):
    """One port of a capture and its side of the ledger, in frames."""

    port: str
    backend: str
    mode: str
    timestamps: str
    direction: str
    offered: Count
    stored: Count
    filtered: Count
    excess: Count
    dropped: Dropped
    bytes_stored: Count


class CaptureFile(msgspec.Struct, frozen=True):
    """One file of a capture, by its final name (on disk it is `.partial` while it is written)."""

    path: str
    packets: Count
    bytes: Count


class Alarm(msgspec.Struct, frozen=True):
    """Something an engineer must know, in the engine's words."""

    time_ns: Count
    text: str


class Transmitted(msgspec.Struct, frozen=True):
    """The sending side of a generator. `requested_pps` is null for top speed.

    `underruns` are times that a frame of a replay was due before it had been read; `speed` is that
    of the schedule that the run was started with.
    """

    port: str
    backend: str
    frames: Count
    submitted: Count
    bytes: Count
    requested_pps: float | None
    late_max_ns: Count
    underruns: Count = 0
    speed: float = 1.0
    paused: bool = False


class Received(msgspec.Struct, frozen=True):
    """The receiving side of a generator, in frames.

    Frames of a replay carry no numbers, so what only numbers can tell is null there.
    """

    port: str
    frames: Count
    lost: Count
    receiver_dropped: Count
    duplicate: Count | None
    reordered: Count | None
    corrupt: Count | None
    foreign: Count


class _Run(msgspec.Struct, frozen=True, kw_only=True, tag_field="program"):
    """What every engine says of its run."""

    schema: Literal["fieldtap.status/1"]
    name: Name
    pid: int
    state: Literal["running", "stopping"]
    started_ns: Count
    now_ns: Count
    lost: Count
    alarms: tuple[Alarm, ...]
    report: str | None = None


class CaptureStatus(_Run, frozen=True, kw_only=True, tag="ft-capture"):
    """`status/1` of ft-capture."""

    ports: tuple[CapturePort, ...]
    files: tuple[CaptureFile, ...]
    output: str


class GenerateStatus(_Run, frozen=True, kw_only=True, tag="ft-generate"):
    """`status/1` of ft-generate."""

    tx: Transmitted
    rx: Received | None


class Refused(msgspec.Struct, frozen=True):
    """Frames that a reflector left to the host, by the reason."""

    foreign: Count
    group: Count
    reflected: Count
    fragment: Count
    bad_length: Count


class Returned(msgspec.Struct, frozen=True):
    """What a port's own counters say of all that it sent since a reflector's start, in frames."""

    source: str
    sent: Count
    dropped: Count


class ReflectStatus(_Run, frozen=True, kw_only=True, tag="ft-reflect"):
    """`status/1` of ft-reflect. `seen` is `reflected`, `capped` and all of `refused` together.

    `cap_pps` is null without a cap; `bytes` are of the frames that were reflected.
    """

    port: str
    mode: str
    cap_pps: float | None
    duration_s: float
    seen: Count
    reflected: Count
    bytes: Count
    capped: Count
    refused: Refused
    wire: Returned


Status = CaptureStatus | GenerateStatus | ReflectStatus


RPC_BAD_PARAMS = -32602
"""Of JSON-RPC 2.0: a method was asked for with what it does not take."""


class RpcError(msgspec.Struct, frozen=True):
    """The error member of a JSON-RPC 2.0 response."""

    code: int
    message: str


class Reply(msgspec.Struct, frozen=True):
    """A response, or (with `method` set) a notification."""

    jsonrpc: Literal["2.0"]
    id: int | None = None
    method: str | None = None
    params: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: RpcError | None = None


class Marked(msgspec.Struct, frozen=True):
    """The answer to `mark`: when the note was recorded."""

    time_ns: Count


class Rotating(msgspec.Struct, frozen=True):
    """The answer to `rotate`."""

    rotating: bool


class Pace(msgspec.Struct, frozen=True):
    """The answer to `rate`: how the run goes on."""

    speed: float
    paused: bool


class Stopping(msgspec.Struct, frozen=True):
    """The answer to `stop`."""

    stopping: bool


class Subscribed(msgspec.Struct, frozen=True):
    """The answer to `subscribe`: the rate that the engine will keep."""

    hz: float


_reply_decoder = msgspec.json.Decoder(Reply)
_status_decoder: msgspec.json.Decoder[Status] = msgspec.json.Decoder(Status)


def encode_request(request_id: int, method: str, params: dict[str, object]) -> bytes:
    """Return one request line, newline included."""
    request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return msgspec.json.encode(request) + b"\n"


def parse_reply(line: bytes) -> Reply:
    """Read one line from an engine. Raises `ProtocolError`."""
    try:
        return _reply_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a JSON-RPC message: {error}") from None


def parse_status(raw: bytes | msgspec.Raw) -> Status:
    """Read a `status/1` object. Raises `ProtocolError`."""
    try:
        return _status_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a status/1 object: {error}") from None


def _refused(error: RpcError) -> RefusedError:
    return RefusedError(error.message, is_usage=error.code == RPC_BAD_PARAMS)


def status_of(reply: Reply) -> Status:
    """Return the status that answers `status`. Raises `RefusedError` or `ProtocolError`."""
    if reply.error is not None:
        raise _refused(reply.error)
    return parse_status(reply.result)


def result_of(reply: Reply, kind: type[Result]) -> Result:
    """Return the result of a response as `kind`. Raises `RefusedError` or `ProtocolError`."""
    if reply.error is not None:
        raise _refused(reply.error)
    try:
        return msgspec.json.decode(reply.result, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"unexpected answer: {error}") from None
