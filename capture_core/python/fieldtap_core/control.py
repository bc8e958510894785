"""One connection to one engine: ask its status, stop it, leave a mark, change its rate.

Every answer is bounded in time and length, because what holds the socket may not be an engine.
"""

import os
import select
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from fieldtap_core import messages
from fieldtap_core.errors import EngineGoneError, EngineSilentError, ProtocolError
from fieldtap_core.messages import Pace, Reply, Status

ANSWER_TIMEOUT_S = 2.0
"""An engine answers from its manager thread within a tick; ten times that is broken."""

LOOK_INTERVAL_S = 0.5
END_SILENCE_S = 30.0
"""A stopping engine says how it gets on; this much silence means that it hangs."""


class Control:
    """A connection to the engine behind `path`; a context manager.

    The constructor raises `EngineGoneError` for a dead socket, and `EngineSilentError` where the
    engine does not take connections. The methods raise those two, `ProtocolError` and
    `RefusedError`.
    """

    def __init__(self, path: Path, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._pending = b""
        self._requests = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            self.close()
            raise EngineGoneError(f"{path}: no engine listens here any more") from None
        except (TimeoutError, BlockingIOError):
            self.close()
            raise EngineSilentError(f"{path}: the engine takes no connection") from None
        except OSError as error:
            self.close()
            raise ProtocolError(f"{path}: cannot connect: {error.strerror or error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the engine goes on."""
        self._socket.close()

    def status(self, timeout_s: float | None = None) -> Status:
        """Return what the engine says of itself now."""
        return messages.status_of(self._call("status", {}, timeout_s))

    def stop(self) -> None:
        """Ask the engine to finish; it drains and writes first. `wait_for_end` tells when."""
        messages.result_of(self._call("stop", {}), messages.Stopping)

    def rotate(self) -> None:
        """Ask the engine to go on in a new file. Raises `RefusedError` where it writes only one."""
        messages.result_of(self._call("rotate", {}), messages.Rotating)

    def mark(self, text: str) -> int:
        """Leave a note in the capture; return its time, nanoseconds UTC."""
        return messages.result_of(self._call("mark", {"text": text}), messages.Marked).time_ns

    def set_rate(self, rate: str) -> Pace:
        """Go on at a rate such as "500Mbps", as --rate takes it. Raises `RefusedError`.

        Streams keep their shares of the total, which stays in the unit it was given in.
        """
        return self._set_pace({"rate": rate})

    def set_speed(self, speed: float) -> Pace:
        """Go on at so many times a file's timing, or the first rates of streams.

        Raises `RefusedError`.
        """
        return self._set_pace({"speed": speed})

    def pause(self) -> Pace:
        """Send nothing until `resume`, or another rate. Raises `RefusedError`."""
        return self._set_pace({"paused": True})

    def resume(self) -> Pace:
        """Go on where the schedule was at `pause`. Raises `RefusedError`."""
        return self._set_pace({"paused": False})

    def _set_pace(self, params: dict[str, object]) -> Pace:
        return messages.result_of(self._call("rate", params), Pace)

    def wait_for_end(self, last: Status) -> Status:
        """Wait until the engine that gave `last` has ended, its files and report written.

        Returns the last status that it gave. Raises `EngineSilentError` after `END_SILENCE_S` in
        which it neither ended nor answered.
        """
        try:
            process = os.pidfd_open(last.pid)
        except ProcessLookupError:
            return last
        try:
            while not _ended(process, LOOK_INTERVAL_S):
                try:
                    last = self.status(END_SILENCE_S)
                except EngineGoneError:
                    if not _ended(process, END_SILENCE_S):
                        text = f"the engine closed its socket but process {last.pid} does not end"
                        raise EngineSilentError(f"{self.path}: {text}") from None
        finally:
            os.close(process)
        return last

    def _call(
        self, method: str, params: dict[str, object], timeout_s: float | None = None
    ) -> Reply:
        deadline = time.monotonic() + (timeout_s or self._timeout_s)
        request_id = self._send(method, params)
        while True:
            try:
                reply = messages.parse_reply(self._read_line(deadline))
            except ProtocolError as error:
                raise ProtocolError(f"{self.path}: {error}") from None
            if reply.id == request_id:
                return reply

    def _send(self, method: str, params: dict[str, object]) -> int:
        self._requests += 1
        try:
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(messages.encode_request(self._requests, method, params))
        except TimeoutError:
            raise EngineSilentError(f"{self.path}: the engine reads no requests") from None
        except OSError:
            raise EngineGoneError(f"{self.path}: the engine ended") from None
        return self._requests

    def _read_line(self, deadline: float) -> bytes:
        while b"\n" not in self._pending:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            self._pending += self._receive()
            if len(self._pending) > messages.LINE_LIMIT_BYTES:
                raise ProtocolError(f"{self.path}: a line without end; this is not an engine")
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            raise EngineSilentError(f"{self.path}: the engine does not answer") from None
        except OSError:
            data = b""
        if not data:
            raise EngineGoneError(f"{self.path}: the engine ended")
        return data


def _ended(process: int, timeout_s: float) -> bool:
    """Whether the process behind the pidfd `process` ends within `timeout_s`."""
    return bool(select.select([process], [], [], timeout_s)[0])
