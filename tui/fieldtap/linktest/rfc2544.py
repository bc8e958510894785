"""The course of a test by RFC 2544: which parts for which sizes, and how that differs from it."""

from collections.abc import Sequence

from fieldtap.linktest import bursts, delay, figures, loss, recovery, throughput
from fieldtap.linktest.bench import (
    CEILING_TRIAL_S,
    STANDARD_WAITS,
    Bench,
    Ceiling,
    InvalidTestError,
    find_ceiling,
)
from fieldtap.linktest.parts import Parts, SizeUnderTest
from fieldtap.linktest.results import Deviation, Standard, Wait
from fieldtap.linktest.settings import Settings

SEARCH_TRIALS = 12
"""About what either search takes, for the estimate."""

CEILING_TRIALS = 2
"""To see what this machine can offer, of a second each."""

ENGINE_S = 1.0
"""What a trial takes to start and end the engine, for itself and its learning frames."""

BURST_TRIALS = 8
"""About what one repetition takes, since each begins at the last one's result."""


def run(bench: Bench, settings: Settings, speed_bps: float, parts: Parts) -> None:
    """Test every size in turn; what was found is in `parts`, also when interrupted."""
    for frame_bytes in settings.sizes:
        line = figures.line_pps(speed_bps, frame_bytes)
        size = SizeUnderTest(bench, settings, frame_bytes, line)
        try:
            ceiling = find_ceiling(bench, frame_bytes, line)
        except InvalidTestError as error:
            throughput.record_invalid(size, parts, str(error))
            continue
        if ceiling.own:
            parts.slower.add(frame_bytes)
        _test_size(size, ceiling, parts)


def _test_size(size: SizeUnderTest, ceiling: Ceiling, parts: Parts) -> None:
    """Run the parts that were asked for; all but the loss rate rest on the throughput."""
    wanted = size.settings.parts
    found: float | None = None
    if set(wanted) != {"loss"}:
        result = throughput.measure(size, ceiling)
        parts.throughput.append(result)
        found = result.rate_pps
    if "latency" in wanted:
        parts.latency.append(delay.measure(size, found))
    if "loss" in wanted:
        parts.loss.append(loss.measure(size, ceiling))
    if "back-to-back" in wanted:
        parts.back_to_back.append(bursts.measure(size, ceiling, found))
    if "recovery" in wanted:
        parts.recovery.append(recovery.measure(size, ceiling, found))


def estimate_s(settings: Settings, bench: Bench) -> float:
    """Return how long the test takes at least, in seconds: no trial has to be repeated."""
    around = bench.waits.around_s + ENGINE_S
    seconds = CEILING_TRIALS * (CEILING_TRIAL_S + around)
    if set(settings.parts) != {"loss"}:
        trial = settings.final_s if settings.search == "bisection" else settings.search_s
        seconds += SEARCH_TRIALS * (trial + around) + 2 * settings.final_s
    if "latency" in settings.parts:
        seconds += settings.latency_repetitions * (settings.latency_s + around)
    if "loss" in settings.parts:
        seconds += 100 / settings.loss_step_percent * (settings.loss_s + around)
    if "back-to-back" in settings.parts:
        seconds += settings.burst_repetitions * BURST_TRIALS * (settings.burst_s / 2 + around)
    if "recovery" in settings.parts:
        seconds += settings.overload_s + settings.recovery_watch_s + around
    return len(settings.sizes) * seconds


def standard(settings: Settings, bench: Bench, slower: Sequence[int]) -> Standard:
    """Return what the standard asks for and how the test differed.

    `slower` are the sizes for which this machine could not offer the rate of the line.
    """
    waits = bench.waits
    asked = STANDARD_WAITS
    return Standard(
        name="RFC 2544",
        title="Benchmarking Methodology for Network Interconnect Devices",
        waits=(
            Wait("after the learning frames", "23 (b)", asked.learning_s, waits.learning_s),
            Wait("for residual frames", "23 (d)", asked.residual_s, waits.residual_s),
            Wait("for the device to settle", "23 (e)", asked.settle_s, waits.settle_s),
            Wait("final trial of a throughput", "24", 60.0, settings.final_s),
            *_waits_of_parts(settings),
        ),
        deviations=(
            *_always(settings),
            *_of_short(settings, bench),
            *_of_slower(slower),
        ),
    )


def _waits_of_parts(settings: Settings) -> tuple[Wait, ...]:
    waits = {
        "latency": Wait("a latency stream", "26.2", 120.0, settings.latency_s),
        "loss": Wait("a trial of the frame loss rate", "24", 60.0, settings.loss_s),
        "back-to-back": Wait("the longest burst", "26.4", 2.0, settings.burst_s),
        "recovery": Wait("the overload", "26.5", 60.0, settings.overload_s),
    }
    return tuple(wait for part, wait in waits.items() if part in settings.parts)


def _always(settings: Settings) -> tuple[Deviation, ...]:
    """What holds for every test by this program, as far as its parts were run."""
    found = [
        Deviation(
            "23 (a)",
            "A routing update is sent to the input port before each trial.",
            "None is sent: routes to 198.18.0.0/15 must be in the device.",
        ),
        Deviation(
            "23 (d)",
            "Two seconds are waited for residual frames.",
            "Listening ends when every frame is back, else after two seconds without one.",
        ),
        Deviation(
            "26.1, 26.3",
            "What a trial loses is the device's.",
            "One that lost less than 1 % while this machine sent late, and so in a burst, is "
            f"repeated up to {settings.attempts - 1} times; loss counts that comes each time.",
        ),
        Deviation(
            "26.6",
            "The time to recover from a reset is measured.",
            "It is not: a reset is done by hand, while `fieldtap linktest soak` tells the gap.",
        ),
        Deviation(
            "11",
            "Tests are repeated with broadcast, management, routing and filter modifiers.",
            "They are run without modifiers, with one pair of addresses.",
        ),
    ]
    if "latency" in settings.parts:
        found.append(
            Deviation(
                "26.2",
                "One tagged frame a stream is timed, 60 seconds after its begin, by RFC 1242's "
                "rule for the kind of device.",
                "The frames of the whole stream are timed by this machine, from when they were "
                "handed to the port to when they were received; the report names the clock.",
            )
        )
    if "recovery" in settings.parts:
        found.append(
            Deviation(
                "26.5",
                "The rate is reduced at a point in time, and the test repeated and averaged.",
                "Two equal streams are sent, of which one ends; the test is run once.",
            )
        )
    if "back-to-back" in settings.parts:
        found.append(
            Deviation(
                "RFC 9004",
                "The search for each burst is independent.",
                "Each repetition begins at the length that the one before found.",
            )
        )
    return tuple(found)


def _of_short(settings: Settings, bench: Bench) -> tuple[Deviation, ...]:
    if not settings.short:
        return ()
    waits = bench.waits
    found = [
        Deviation(
            "23",
            "Two seconds are waited after learning and five for the device to settle.",
            f"Short mode waits {waits.learning_s:g} and {waits.settle_s:g} seconds.",
        ),
        Deviation(
            "24",
            "The final trial lasts at least 60 seconds.",
            f"In short mode it lasts {settings.final_s:g} seconds.",
        ),
    ]
    of_parts = {
        "latency": Deviation(
            "26.2",
            "A stream lasts at least 120 seconds, and there are at least 20.",
            f"Short mode has {settings.latency_repetitions} of {settings.latency_s:g} seconds.",
        ),
        "loss": Deviation(
            "24",
            "A trial lasts at least 60 seconds.",
            f"In short mode one of the frame loss rate lasts {settings.loss_s:g} seconds.",
        ),
        "back-to-back": Deviation(
            "26.4",
            "The longest burst is averaged over at least 50 repetitions.",
            f"Short mode has {settings.burst_repetitions}.",
        ),
        "recovery": Deviation(
            "26.5",
            "The overload lasts at least 60 seconds.",
            f"In short mode it lasts {settings.overload_s:g} seconds.",
        ),
    }
    return (*found, *(value for part, value in of_parts.items() if part in settings.parts))


def _of_slower(sizes: Sequence[int]) -> tuple[Deviation, ...]:
    if not sizes:
        return ()
    return (
        Deviation(
            "20",
            "Tests are run up to the highest rate of the medium.",
            "This machine does not reach it with frames of "
            f"{', '.join(map(str, sizes))} bytes: the highest rate tried is in the results, and "
            "bursts leave at top speed instead of with the smallest gap.",
        ),
    )
