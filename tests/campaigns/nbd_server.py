"""A disk behind NBD whose write-back cache loses what was not flushed when the power is cut.

Reads see every write. The image file gets a write only with the next flush, or at once where it
asks for that itself (FUA), as a disk with a volatile cache does. `PowerCutDisk.cut` throws the
rest away.
"""

import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

NBD_MAGIC, OPTION_MAGIC = b"NBDMAGIC", b"IHAVEOPT"
OPTION_REPLY_MAGIC = 0x3E889045565A9
REQUEST_MAGIC, REPLY_MAGIC = 0x25609513, 0x67446698
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
OPTION_ABORT, OPTION_INFO, OPTION_GO = 2, 6, 7
REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED = 1, 3, (1 << 31) + 1
INFO_EXPORT = 0
HAS_FLAGS, SEND_FLUSH, SEND_FUA = 1, 4, 8
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
COMMAND_FUA = 1
EINVAL = 22

Reader = Callable[[int], bytes]


class PowerCutDisk:
    """Serves an image file on a unix socket until the power is cut."""

    def __init__(self, image: Path, path: Path) -> None:
        self._image = os.open(image, os.O_RDWR)
        self._now = bytearray(image.read_bytes())
        self._unflushed: list[tuple[int, int]] = []
        self._turn = threading.Lock()
        self._cut_at_flush = False
        self._is_cut = threading.Event()
        self._gone_bytes = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.fspath(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def cut(self) -> int:
        """Cut the power: nothing is answered any more; return how many written bytes are gone."""
        with self._turn:
            if not self._is_cut.is_set():
                self._lose()
        return self._gone_bytes

    def cut_at_flush(self, timeout_s: float) -> None:
        """Have the power cut by the next flush that has something to keep: it is not done."""
        with self._turn:
            self._cut_at_flush = True
        self._is_cut.wait(timeout_s)

    def _lose(self) -> None:
        self._gone_bytes = sum(length for _, length in self._unflushed)
        self._unflushed.clear()
        self._is_cut.set()

    def close(self) -> None:
        """End the service, once the guest is gone."""
        self._listener.close()
        self._thread.join()
        os.close(self._image)

    def _serve(self) -> None:
        try:
            connection = self._listener.accept()[0]
        except OSError:
            return
        with connection, connection.makefile("rb") as requests:
            try:
                if self._negotiate(connection, requests.read):
                    while self._answer(connection, requests.read):
                        pass
            except (OSError, struct.error):
                return  # the guest is gone

    def _negotiate(self, connection: socket.socket, read: Reader) -> bool:
        connection.sendall(NBD_MAGIC + OPTION_MAGIC + struct.pack(">H", FIXED_NEWSTYLE | NO_ZEROES))
        read(4)
        while True:
            _, option, length = struct.unpack(">8sII", read(16))
            read(length)

            def reply(kind: int, data: bytes = b"", option: int = option) -> None:
                head = struct.pack(">QIII", OPTION_REPLY_MAGIC, option, kind, len(data))
                connection.sendall(head + data)

            if option in (OPTION_INFO, OPTION_GO):
                flags = HAS_FLAGS | SEND_FLUSH | SEND_FUA
                reply(REPLY_INFO, struct.pack(">HQH", INFO_EXPORT, len(self._now), flags))
                reply(REPLY_ACK)
                if option == OPTION_GO:
                    return True
            elif option == OPTION_ABORT:
                reply(REPLY_ACK)
                return False
            else:
                reply(REPLY_UNSUPPORTED)

    def _answer(self, connection: socket.socket, read: Reader) -> bool:
        magic, flags, kind, handle, offset, length = struct.unpack(">IHHQQI", read(28))
        assert magic == REQUEST_MAGIC
        data = read(length) if kind == WRITE else b""
        error, answer = 0, b""
        with self._turn:
            if kind == FLUSH and self._cut_at_flush and self._unflushed:
                self._lose()
            if self._is_cut.is_set() or kind == DISCONNECT:
                return False
            if kind == READ:
                answer = bytes(self._now[offset : offset + length])
            elif kind == WRITE:
                self._write(offset, data, through=bool(flags & COMMAND_FUA))
            elif kind == FLUSH:
                self._flush()
            else:
                error = EINVAL
            # Under the lock, so that a flush is complete before the cut or did not happen.
            connection.sendall(struct.pack(">IIQ", REPLY_MAGIC, error, handle) + answer)
        return True

    def _write(self, offset: int, data: bytes, *, through: bool) -> None:
        self._now[offset : offset + len(data)] = data
        if through:
            os.pwrite(self._image, data, offset)
        else:
            self._unflushed.append((offset, len(data)))

    def _flush(self) -> None:
        for offset, length in self._unflushed:
            os.pwrite(self._image, self._now[offset : offset + length], offset)
        self._unflushed.clear()
