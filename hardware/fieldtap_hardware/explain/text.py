"""Recorded output as lines: decoded, without colours, in one form whatever recorded it."""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fieldtap_hardware.explain.model import Draft, Scalar

MAX_BYTES = 4 << 20  # a thousand times the longest output that is known

MAX_LINE = 4096  # characters, but for JSON and XML, which may be one line

# Colours and other control sequences (ECMA-48 5.4), and titles that a terminal was given.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-Z])")
LINE_ENDS = re.compile(r"\r\n|\n|\r")
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# "user@host:~$ command", "[root@host ~]# command", "# command": what a terminal shows around it.
PROMPT = re.compile(
    r"\s*(?:\[?[\w.-]+@[\w.-]+[^#$>]{0,200}[#$]|[#$])(?:\s.*)?|(?:\[sudo\] p|P)assword.*:"
)
ERROR = re.compile(
    r".*\b(?:error\b|answers:|cannot\b|can't\b|could not\b|failed\b|not found$|no such device"
    r"|permission denied|operation not permitted|not supported$|must be root).*",
    re.IGNORECASE,
)
JSON_START = re.compile(r"\s*(?:\{|\[\s*(?:\{|\]|$))")
DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")
WHOLE = re.compile(r"[+-]?[0-9]{1,19}")


class NotTextError(Exception):
    """The bytes are not the text of a tool; the words say why."""


@dataclass(frozen=True)
class Line:
    """A line without its indentation and trailing white space."""

    number: int  # from 1
    indent: int  # characters before the text; a tab counts to the next multiple of 8
    text: str


@dataclass(frozen=True)
class Recording:
    """An output as lines, without the prompts around it; empty lines are among them."""

    lines: tuple[Line, ...]
    ended: bool  # the last line has a line end

    def __iter__(self) -> Iterator[Line]:
        """The lines that are not empty."""
        return (line for line in self.lines if line.text)


def read_recording(raw: bytes) -> Recording:
    """Decode a recorded output. Raises `NotTextError` with the reason."""
    if len(raw) > MAX_BYTES:
        raise NotTextError(f"it is larger than {MAX_BYTES >> 20} MiB, which no output of a tool is")
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if raw.startswith(mark)), None)
    try:
        text = raw.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        raise NotTextError(f"byte {error.start} is not part of any UTF-8 text") from error
    if not text.strip():
        raise NotTextError("it is empty")
    parts = LINE_ENDS.split(ESCAPES.sub("", text))
    ended = parts[-1] == ""
    lines = tuple(_line(number, part) for number, part in enumerate(parts, 1))
    for line in lines:
        if len(line.text) > MAX_LINE and line.text[0] not in "{[<":
            raise NotTextError(f"line {line.number} is longer than any that a tool prints")
        if not line.text.isprintable():
            raise NotTextError(f"line {line.number} has characters that no tool prints")
    said = tuple(line for line in lines if not PROMPT.fullmatch(line.text))
    return Recording(said[:-1] if ended else said, ended)


def _line(number: int, part: str) -> Line:
    part = part.expandtabs()
    text = part.strip()
    return Line(number, len(part) - len(part.lstrip()), text)


def key_of(label: str) -> str:
    """The key of a tool's label: in lower case, words joined by "_".

    "Boot ROM version" and "fw.psid" become boot_rom_version and fw_psid, offsetFromMaster becomes
    offset_from_master.
    """
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", label)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def decimal(text: str) -> int | float | None:
    """A number as tools print it, with a point; None for anything else."""
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if DECIMAL.fullmatch(text) else None


def note_error(line: Line, draft: Draft) -> bool:
    """Doubt a line that is an error message of the tool or shell; False where it is none."""
    if not ERROR.fullmatch(line.text):
        return False
    words = line.text.rpartition(": ")[2][:100]
    draft.doubt(f"line {line.number}: the tool failed: {words}")
    return True


def refuse(line: Line, draft: Draft) -> None:
    """Doubt a line that fits nothing that the tool prints, unless it is an error message."""
    if not note_error(line, draft):
        draft.doubt(
            f"line {line.number} is not understood (garbled, cut off or in another language)"
        )


def starts_json(recording: Recording) -> bool:
    """Whether the output, after any warnings, is JSON."""
    return any(JSON_START.match(line.text) for line in recording)


def read_json(recording: Recording, draft: Draft) -> object:
    """The JSON value in an output, past the warnings before it; None, and a doubt, without one."""
    lines = [line.text for line in recording.lines]
    first = next((i for i, line in enumerate(lines) if JSON_START.match(line)), None)
    if first is None:
        draft.doubt("there is no JSON in it")
        return None
    text = "\n".join(lines[first:])
    try:
        value, end = json.JSONDecoder(parse_constant=_refuse).raw_decode(text)
    except (ValueError, RecursionError):
        draft.doubt("its JSON is garbled or cut off")
        return None
    if text[end:].strip():
        draft.doubt("something that is not understood follows the JSON")
    draft.end_proven = True
    return value


def _refuse(constant: str) -> object:
    raise ValueError(constant)  # NaN and Infinity are not JSON


def scalar(value: object) -> Scalar:
    """A JSON scalar that may be shown; None for containers and for text with control characters."""
    if isinstance(value, str):
        return value if value.isprintable() else None
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return None
    return value if isinstance(value, bool | int | float) else None
