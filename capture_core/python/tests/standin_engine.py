"""A stand-in for an engine: speaks the control protocol and takes the options, moves no frames.

Run it as `standin_engine.py ft-capture|ft-generate OPTIONS`. Its counts are made up: each status
says that 1000 more frames were offered, of which the kernel buffer dropped 10 where the port is
called "lossy". A port called "missing" does not exist, "quick" ends at once, "wordless" fails
without a word. It is here for machines and moments without the real engine.
"""

import argparse
import json
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path

Json = dict[str, object]


class StandinEngine:
    """One made-up run."""

    def __init__(self, program: str, options: argparse.Namespace) -> None:
        self.program = program
        self.options = options
        self.started_ns = time.time_ns()
        self.offered = 0
        self.stopping = False

    def status(self) -> Json:
        self.offered += 1000
        status: Json = {
            "schema": "fieldtap.status/1",
            "program": self.program,
            "name": self.options.name,
            "pid": os.getpid(),
            "state": "stopping" if self.stopping else "running",
            "started_ns": self.started_ns,
            "now_ns": self.started_ns + self.offered * 1_000_000,
            "lost": self.dropped(),
            "report": self.options.report,
            "alarms": [{"time_ns": 1, "text": "made-up [alarm]"}] if self.dropped() else [],
            "a_field_of_the_future": {"kept": True},
        }
        return status | (self.generated() if self.program == "ft-generate" else self.captured())

    def dropped(self) -> int:
        return self.offered // 100 if "lossy" in self.options.input else 0

    def captured(self) -> Json:
        return {
            "ports": [self.port(name) for name in self.options.input],
            "files": self.files(),
            "output": self.options.write,
        }

    def port(self, name: str) -> Json:
        dropped = self.offered // 100 if name == "lossy" else 0
        return {
            "port": name,
            "backend": "afpacket",
            "mode": "tpacket_v3",
            "timestamps": "host",
            "direction": "both",
            "offered": self.offered,
            "stored": self.offered - dropped,
            "filtered": 0,
            "excess": 0,
            "dropped": {"adapter": 0, "kernel": dropped, "ring": 0, "disk": 0},
            "bytes_stored": (self.offered - dropped) * 100,
        }

    def files(self) -> list[Json]:
        stored = self.offered - self.dropped()
        return [{"path": self.options.write, "packets": stored, "bytes": stored * 100}]

    def generated(self) -> Json:
        tx = {
            "port": self.options.output,
            "backend": "afpacket",
            "frames": self.offered,
            "submitted": self.offered,
            "bytes": self.offered * 60,
            "requested_pps": None,
            "late_max_ns": 0,
        }
        return {"tx": tx, "rx": None}

    def report(self) -> Json:
        ports = [
            self.port(name)
            | {
                "derived": [],
                "wire": {"source": None, "min": None, "max": None, "agrees": None},
            }
            for name in self.options.input
        ]
        files = [file | {"first_ns": 1, "last_ns": 2, "sha256": None} for file in self.files()]
        return {
            "schema": "fieldtap.capture-report/1",
            "name": self.options.name,
            "started_ns": self.started_ns,
            "stopped_ns": self.started_ns + self.offered * 1_000_000,
            "stop_reason": "stop",
            "balanced": True,
            "lost": self.dropped(),
            "ports": ports,
            "files": files,
        }

    def answer(self, request: Json) -> Json:
        params = request.get("params")
        match request.get("method"):
            case "status":
                result = self.status()
            case "stop":
                self.stopping = True
                result = {"stopping": True}
            case "mark" if isinstance(params, dict) and len(str(params["text"])) <= 1024:
                result = {"time_ns": 42}
            case "subscribe" if isinstance(params, dict):
                result = {"hz": params["hz"]}
            case _:
                error = {"code": -32000, "message": "the stand-in says no"}
                return {"jsonrpc": "2.0", "id": request.get("id"), "error": error}
        return {"jsonrpc": "2.0", "id": request.get("id"), "result": result}


def serve(engine: StandinEngine, path: Path) -> None:
    """Answer clients until one of them, or a signal, says stop."""
    temporary = path.with_suffix(".new")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(temporary))
    listener.listen()
    temporary.rename(path)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ, None)
    subscribers: list[socket.socket] = []
    while not engine.stopping:
        for key, _ in selector.select(timeout=0.05):
            if key.data is None:
                client = listener.accept()[0]
                selector.register(client, selectors.EVENT_READ, client)
            else:
                read_client(engine, selector, key.data, subscribers)
        for client in subscribers:
            send(client, {"jsonrpc": "2.0", "method": "status", "params": engine.status()})


def read_client(
    engine: StandinEngine,
    selector: selectors.BaseSelector,
    client: socket.socket,
    subscribers: list[socket.socket],
) -> None:
    try:
        data = client.recv(65536)
    except ConnectionResetError:  # of a client that was killed
        data = b""
    if not data:
        selector.unregister(client)
        if client in subscribers:
            subscribers.remove(client)
        client.close()
        return
    for line in data.splitlines():
        request = json.loads(line)
        send(client, engine.answer(request))
        if request["method"] == "subscribe":
            subscribers.append(client)


def send(client: socket.socket, message: Json) -> None:
    try:
        client.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        return


def write_report(engine: StandinEngine) -> None:
    if engine.options.report:
        Path(engine.options.report).write_text(json.dumps(engine.report()))


def parse_options(program: str, arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("-i", dest="input", action="append", default=[])
    parser.add_argument("-w", dest="write", default="")
    parser.add_argument("-f", dest="filter")
    parser.add_argument("-a", dest="until", action="append")
    parser.add_argument("-c", dest="count")
    parser.add_argument("-o", dest="output")
    parser.add_argument("--size")
    parser.add_argument("--name", default=f"{program}-{os.getpid()}")
    parser.add_argument("--report")
    return parser.parse_args(arguments)


def main() -> int:
    program, *arguments = sys.argv[1:]
    options = parse_options(program, arguments)
    if "missing" in options.input:
        print("ft-capture: -i missing: no such port; see `fieldtap ports`", file=sys.stderr)
        return 2
    if "wordless" in options.input:
        return 1
    engine = StandinEngine(program, options)
    if "quick" not in options.input:
        directory = Path(os.environ["FIELDTAP_RUN_DIR"]) / options.name
        directory.mkdir(exist_ok=True)
        (directory / "lock").touch()
        signal.signal(signal.SIGTERM, lambda *_: setattr(engine, "stopping", True))
        serve(engine, directory / "control.sock")
        write_report(engine)
        (directory / "control.sock").unlink()
        (directory / "lock").unlink()
        directory.rmdir()
    else:
        write_report(engine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
