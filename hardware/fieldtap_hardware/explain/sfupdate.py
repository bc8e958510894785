"""sfupdate and amdsfupdate: firmware of Solarflare adapters, and the course of an update.

Formats: sfutils 4.6 to 8.2 as recorded; amdsfupdate after UG1739. Rows vary with the adapter.
"""

import re

from fieldtap_hardware.explain.model import Draft, Item, Values, append
from fieldtap_hardware.explain.text import Line, Recording, key_of, note_error, refuse

BANNER = re.compile(r".*\bfirmware update utility(?: \[(v[0-9][0-9.]*)\])?", re.IGNORECASE)
PREAMBLE = re.compile(r"Copyright\b.*|Loading firmware images from \S.*|- run .*--write.*")
PORT = re.compile(r"([\w.:@-]{1,32}) - MAC: ([0-9A-Fa-f]{2}(?:[-:][0-9A-Fa-f]{2}){5})")
ROW = re.compile(r"([A-Za-z][A-Za-z /-]{0,40}?) ?: +(\S.*)")
LABEL_ENDS = ("version", "type", "family", "bundle", "bootloader", "name", "number")
VERSION = re.compile(r"v?[0-9]+(?:\.[0-9]+)*(?: \S.*)?|N/A|none|unknown|not [a-z]+", re.IGNORECASE)
UP_TO_DATE = re.compile(r"The (\S.{0,40}?)(?: firmware)? is up to date\.?")
CARRIED = re.compile(
    r"This utility contains (?:an? )?(more recent|newer|older) (\S.{0,40}?)(?: firmware)? "
    r"\[(v?[0-9.]+)\]"
)
UPDATING = re.compile(
    r"(\S{1,32}): updating (\S.{0,40}?)(?: firmware)? from v?([0-9.]+) to v?([0-9.]+)"
)
WRITING = re.compile(r"(\S{1,32}): (?:writing (\S.{0,40}?)(?: firmware)?|will be disabled .*)")
PROGRESS = re.compile(r"\[ *([0-9]{1,3})%\] ([A-Z][a-z]+)")
STEP = re.compile(r"writing version information|Resetting adapter", re.IGNORECASE)
LAST_STAGES = ("validating", "verifying", "complete")
NO_ADAPTER = re.compile(r"No (?:supported )?.*adapters? (?:were |was )?found\.?", re.IGNORECASE)


def parse(recording: Recording, draft: Draft) -> None:
    """One item a port, `up_to_date` and `available_*` being the tool's words about its images."""
    _Sfupdate(draft).read(recording)


class _Sfupdate:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.banner: str | None = None
        self.judged = True  # the port at hand has the tool's word about updates
        self.component: str | None = None  # being written
        self.unfinished: str | None = None

    def read(self, recording: Recording) -> None:
        for line in recording:
            if not (self._about_port(line) or self._about_update(line) or self._aside(line)):
                refuse(line, self.draft)
        self._close_port()
        if self.unfinished:
            self.draft.doubt(f"the update did not reach its end: {self.unfinished}")
        for item in self.draft.items:
            if self.banner:
                item.values["utility_version"] = self.banner
        if self.banner and not self.draft.items and not self.draft.nothing_there:
            self.draft.doubt("it ends before the first adapter: cut off")

    def _close_port(self) -> None:
        if not self.judged:
            item = self.draft.items[-1]
            self.draft.doubt(f"{item.subject}: cut off before the tool's word about its firmware")

    def _about_port(self, line: Line) -> bool:
        if match := PORT.fullmatch(line.text):
            self._close_port()
            self.draft.open(match[1])["mac"] = match[2]
            self.judged = False
        elif match := UP_TO_DATE.fullmatch(line.text):
            self._judge("up_to_date", match[1])
        elif match := CARRIED.fullmatch(line.text):
            age = "older" if match[1] == "older" else "available"
            self._judge(f"{age}_{key_of(match[2])}", match[3])
        elif (match := ROW.fullmatch(line.text)) and self.draft.items and line.indent:
            return self._row(self.draft.items[-1], match[1], match[2])
        else:
            return False
        self.draft.end_proven = True
        return True

    def _judge(self, key: str, value: str) -> None:
        if not self.draft.items:
            self.draft.doubt("a word about firmware stands before any adapter: cut off")
            return
        values = self.draft.items[-1].values
        if key in values:
            append(values, key, value)
        else:
            values[key] = [value] if key == "up_to_date" else value
        self.judged = True

    def _row(self, item: Item, label: str, value: str) -> bool:
        key = key_of(label)
        if key.rpartition("_")[2] not in LABEL_ENDS:
            return False
        if key.endswith("version") and not VERSION.fullmatch(value):
            return False
        append(item.values, key, value)
        return True

    def _about_update(self, line: Line) -> bool:
        if match := UPDATING.fullmatch(line.text):
            self.component = key_of(match[2])
            values = self._updated(match[1])
            values[f"{self.component}_from"], values[f"{self.component}_to"] = match[3], match[4]
            self.unfinished = f"{match[2]} is not written"
        elif match := WRITING.fullmatch(line.text):
            if match[2]:
                self.component = key_of(match[2])
            self._updated(match[1])
        elif (match := PROGRESS.fullmatch(line.text)) and self.component and self.draft.items:
            stage, percent = match[2].lower(), int(match[1])
            self.draft.items[-1].values[f"{self.component}_{stage}_percent"] = percent
            done = percent == 100 and stage in LAST_STAGES
            self.unfinished = None if done else f"{match[2]} stands at {percent} %"
        else:
            return bool(STEP.fullmatch(line.text))
        return True

    def _updated(self, port: str) -> Values:
        self.judged = True
        if self.draft.items and self.draft.items[-1].subject == port:
            return self.draft.items[-1].values
        return self.draft.open(port)

    def _aside(self, line: Line) -> bool:
        if match := BANNER.fullmatch(line.text):
            self.banner = match[1] or self.banner
        elif NO_ADAPTER.fullmatch(line.text):
            self.draft.nothing_there = "the tool found no adapter that it supports"
            self.draft.end_proven = True
        else:
            return bool(PREAMBLE.fullmatch(line.text)) or note_error(line, self.draft)
        return True
