"""When the ports of a long test had no link, by the kernel's own account.

A port without a carrier, one that is switched off and one that has gone are all without a link.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fieldtap_hardware.sysfs import parse_int, read_text

from fieldtap.linktest.results import Outage

NET = Path("/sys/class/net")


@dataclass(frozen=True)
class Links:
    """What one look found: the ports without a link, and how often the links have changed yet."""

    down: tuple[str, ...]
    changes: int


Look = Callable[[], Links]


def look(ports: Sequence[str]) -> Links:
    """Read the state of the links of `ports`."""
    down = tuple(port for port in ports if read_text(NET / port / "carrier") != "1")
    changes = (
        parse_int(read_text(NET / port / "carrier_changes"), 0, (1 << 64) - 1) for port in ports
    )
    return Links(down, sum(number or 0 for number in changes))


@dataclass
class LinkWatch:
    """Gathers outages from looks in a row; one that was over before a look saw it counts too.

    An engine that opens or leaves a port may reset the adapter, which takes its link away for
    seconds: only what is looked at while an engine runs, or after it ended too early, counts.
    """

    look: Look
    outages: list[Outage] = field(default_factory=list)
    _before: Links | None = None
    _before_ns: int = 0
    _open: Outage | None = None

    @property
    def count(self) -> int:
        """How many outages there were, one that still lasts among them."""
        return len(self.outages) + self.lasts

    @property
    def lasts(self) -> bool:
        """Whether an outage was not yet seen to end."""
        return self._open is not None

    def forget(self) -> None:
        """A run begins: what became of the links since the last look does not count."""
        self._before = None

    def notice(self, now_ns: int) -> None:
        """Look, and note an outage that begins, lasts, ends or has been."""
        links = self.look()
        before, before_ns = self._before, self._before_ns
        self._before, self._before_ns = links, now_ns
        if self._open is not None:
            self._lengthen(self._open, links, now_ns)
        elif links.down:
            self._open = Outage(from_ns=now_ns, to_ns=now_ns, ports=links.down, lost=None)
        elif before is not None and links.changes > before.changes:
            self.outages.append(Outage(from_ns=before_ns, to_ns=now_ns, ports=(), lost=None))

    def close(self, now_ns: int) -> None:
        """The test is over, and with it an outage that lasts."""
        if self._open is not None:
            self._lengthen(self._open, Links((), 0), now_ns)

    def _lengthen(self, outage: Outage, links: Links, now_ns: int) -> None:
        ports = tuple(dict.fromkeys((*outage.ports, *links.down)))
        longer = Outage(
            from_ns=outage.from_ns, to_ns=max(outage.from_ns, now_ns), ports=ports, lost=None
        )
        self._open = longer if links.down else None
        if not links.down:
            self.outages.append(longer)
