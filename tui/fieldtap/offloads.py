"""Switch off what joins or cuts frames on a virtual port, so that it carries what a wire would."""

import ctypes
import errno
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946  # linux/sockios.h
# Commands of linux/ethtool.h that take a value: transmit checksum, TSO, GSO, GRO. The first comes
# first, for the kernel switches segmentation off with it.
_SETTINGS = {"tx checksum": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}


def switch_off(port: str) -> None:
    """Switch off transmit checksums, TSO, GSO and GRO of `port`. Raises `OSError`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in _SETTINGS.values():
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
            request = struct.pack("16sP16x", port.encode(), ctypes.addressof(value))
            try:
                fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:  # what a port cannot do is off
                    raise
