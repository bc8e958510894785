"""What libpcap thinks of a capture filter: the compiler that the engine itself uses."""

import ctypes
from functools import cache

from fieldtap_core.errors import EngineError

_LINK_TYPE_ETHERNET = 1
_SNAP_BYTES = 262144
_NETMASK_UNKNOWN = 0xFFFFFFFF


class _Program(ctypes.Structure):
    """struct bpf_program of pcap/bpf.h."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


def check_filter(expression: str) -> str | None:
    """Return why libpcap rejects `expression` for Ethernet, or None where it accepts it.

    Needs neither an engine nor a privilege. Raises `EngineError` where libpcap cannot be loaded.
    """
    library = _libpcap()
    handle = library.pcap_open_dead(_LINK_TYPE_ETHERNET, _SNAP_BYTES)
    program = _Program()
    try:
        text = expression.encode(errors="replace")
        if b"\0" in text:
            return "a filter cannot hold a NUL"
        if library.pcap_compile(handle, ctypes.byref(program), text, 0, _NETMASK_UNKNOWN) == 0:
            library.pcap_freecode(ctypes.byref(program))
            return None
        return str(library.pcap_geterr(handle).decode(errors="replace"))
    finally:
        library.pcap_close(handle)


@cache
def _libpcap() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libpcap.so.0.8")
    except OSError as error:
        raise EngineError(f"filters cannot be checked here: {error}") from None
    handle = ctypes.c_void_p
    program = ctypes.POINTER(_Program)
    library.pcap_open_dead.restype = handle
    library.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
    library.pcap_compile.argtypes = (handle, program, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint)
    library.pcap_freecode.argtypes = (program,)
    library.pcap_geterr.argtypes = (handle,)
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_close.argtypes = (handle,)
    return library
