"""The pushed form of `status`: an asynchronous stream for a live display."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from fieldtap_core import messages
from fieldtap_core.control import ANSWER_TIMEOUT_S
from fieldtap_core.errors import EngineGoneError, EngineSilentError, ProtocolError
from fieldtap_core.messages import Status

SILENCE_S = 5.0
"""A subscribed engine pushes at least once a second; this much silence means that it hangs."""


async def subscribe(path: Path, hz: float) -> AsyncIterator[Status]:
    """Yield the status of the engine behind `path`, `hz` times a second, until it ends.

    The stream ends when the engine closes it. Raises `EngineGoneError` for a dead socket,
    `EngineSilentError` for an engine that hangs, `ProtocolError` and `RefusedError`.
    """
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(
                os.fspath(path), limit=messages.LINE_LIMIT_BYTES
            )
    except TimeoutError:
        raise EngineSilentError(f"{path}: the engine takes no connection") from None
    except OSError:
        raise EngineGoneError(f"{path}: no engine listens here any more") from None
    try:
        writer.write(messages.encode_request(1, "subscribe", {"hz": hz}))
        while line := await _read_line(reader, path):
            reply = messages.parse_reply(line)
            if reply.method == "status":
                yield messages.parse_status(reply.params)
            elif reply.id == 1:
                messages.result_of(reply, messages.Subscribed)
    except ProtocolError as error:
        raise ProtocolError(f"{path}: {error}") from None
    finally:
        writer.close()


async def _read_line(reader: asyncio.StreamReader, path: Path) -> bytes:
    """Return one line, or nothing at the end of the stream."""
    try:
        async with asyncio.timeout(SILENCE_S):
            return await reader.readuntil(b"\n")
    except TimeoutError:
        raise EngineSilentError(f"{path}: the engine has gone silent") from None
    except asyncio.LimitOverrunError:
        raise ProtocolError("a line without end; this is not an engine") from None
    except (asyncio.IncompleteReadError, OSError):
        return b""
