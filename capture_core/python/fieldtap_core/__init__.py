"""Typed client of the engine programs: find, start, control and read them.

One engine process runs each capture or generator. It owns `RUN/<name>/control.sock`, which speaks
JSON-RPC 2.0, one object a line. This package is all that knows that protocol; it never imports a
console, a hardware check or the image builder.

    messages   what an engine says over its socket, as typed values
    reports    what an engine leaves in its `--report` file
    control    one connection to one engine: status, stop, mark
    stream     the same, pushed: an asynchronous stream of status values
    survey     which engines run now, and which sockets are dead or broken
    start      start an engine that outlives its starter
    programs   where the engine programs are
    receipts   what a session says of itself, and what its files hold
    signing    signatures of receipts, and whose keys count
    verify     the one compared with the other
    filters    what libpcap thinks of a capture filter
"""
