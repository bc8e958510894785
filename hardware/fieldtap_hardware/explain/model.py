"""What a recorded output is read into: the report `fieldtap.explain/1`, and how parsers fill it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from msgspec import Struct

from fieldtap_hardware.verdicts import Verdict

Scalar = str | int | float | bool | None
Value = Scalar | list[str] | list[int]
Values = dict[str, Value]
MAX_DOUBTS = 3


class Item(Struct, frozen=True):
    """What was printed about one port, device or clock.

    Keys are the tool's own labels by `text.key_of`. Identifiers, versions and state words are text
    exactly as printed, measured quantities are numbers under a key that ends with the printed unit.
    """

    subject: str
    values: Values

    def text(self, *keys: str) -> str | None:
        """The text of the first of `keys` that has one; an empty text is none."""
        for key in keys:
            value = self.values.get(key)
            if isinstance(value, str) and value:
                return value
        return None


class Explanation(Struct, frozen=True, kw_only=True):
    """One recorded output as values.

    `ok`: whole and read. `unknown`: `reason` says what is missing or not understood; what was read
    up to there is in `items`. `not_applicable`: the tool says that it found nothing to report on.
    Whether the values are good is for the checks to say, so `warn` and `fail` do not occur.
    """

    schema: str = "fieldtap.explain/1"
    tool: str
    verdict: Verdict
    reason: str | None  # None with `ok`
    items: tuple[Item, ...]


@dataclass
class Draft:
    """An explanation in the making: each parser fills one."""

    items: list[Item] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    nothing_there: str | None = None  # the tool's word that it found no device
    end_proven: bool = False  # the last line is whole even without a line end

    def open(self, subject: str) -> Values:
        """Begin the next item; its values are filled by the caller."""
        values: Values = {}
        self.items.append(Item(subject, values))
        return values

    def doubt(self, reason: str) -> None:
        """Say why the output cannot be taken for whole and understood."""
        self.doubts.append(reason)

    def require(self, item: Item, keys: Iterable[str]) -> None:
        """Doubt an item that lacks one of `keys`."""
        missing = [key for key in keys if key not in item.values]
        if missing:
            self.doubt(
                f"{item.subject}: no {missing[0]!r} (cut off, in another language or changed)"
            )

    def explanation(self, tool: str) -> Explanation:
        """The draft as it stands; of many doubts the first ones are told."""
        verdict, reason = Verdict.OK, None
        if self.doubts:
            verdict, reason = Verdict.UNKNOWN, "; ".join(self.doubts[:MAX_DOUBTS])
        elif not self.items:
            verdict = Verdict.NOT_APPLICABLE if self.nothing_there else Verdict.UNKNOWN
            reason = self.nothing_there or f"nothing in it is what {tool} prints"
        return Explanation(tool=tool, verdict=verdict, reason=reason, items=tuple(self.items))


def append(values: Values, key: str, value: str) -> None:
    """Put `value` under `key`; a key that occurs again makes a list."""
    before = values.get(key)
    if key not in values:
        values[key] = value
    elif isinstance(before, list):
        cast(list[str], before).append(value)  # a list of numbers is never appended to
    else:
        values[key] = [str(before), value]
