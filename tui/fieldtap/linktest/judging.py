"""From figures and limits to verdicts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fieldtap.linktest.results import Verdict


@dataclass(frozen=True)
class Judgement:
    """A verdict and the sentences that say why."""

    verdict: Verdict
    reasons: tuple[str, ...]


def judge(limits: Iterable[tuple[str, bool] | None], notes: Sequence[str] = ()) -> Judgement:
    """Judge by limits, each as a sentence and whether it holds; None is a limit nobody set."""
    judged = [limit for limit in limits if limit is not None]
    broken = [text for text, holds in judged if not holds]
    if not judged:
        return Judgement("measured", tuple(notes))
    if broken:
        return Judgement("fail", (*broken, *notes))
    return Judgement("ok", (*(text for text, _ in judged), *notes))


def doubt(judgement: Judgement, reason: str) -> Judgement:
    """Return the judgement of what may be this machine's own doing: a failure is not proved."""
    if judgement.verdict != "fail":
        return judgement
    return Judgement("invalid", (reason, *judgement.reasons))


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict of a whole from those of its parts.

    A proved failure stays one; without it, what was not proved spoils the whole. A whole with a
    limit that was met is `ok`, though other figures were only measured.
    """
    found = set(verdicts)
    order: tuple[Verdict, ...] = ("fail", "invalid", "ok", "measured", "not_measured")
    return next((verdict for verdict in order if verdict in found), "invalid")
