"""Streams send each frame when its rate, its share, its bursts and its draws say."""

import math
import statistics
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from stream_values import Draws, Sent, dry_run

SECOND = 1_000_000_000


def stream(name: str, *lines: str) -> str:
    """A stream that is known by its VLAN id, the name's number."""
    head = ["[[stream]]", f'name = "{name}"', "signature = false", f"vlan.id = {name}"]
    return "\n".join([*head, *lines]) + "\n"


def order(sent: Iterable[Sent]) -> list[int]:
    """Which stream each frame is of."""
    return [int.from_bytes(data[14:16], "big") for _, data in sent]


def times(sent: Iterable[Sent]) -> list[int]:
    return [when for when, _ in sent]


def test_a_rate_in_frames_spaces_them_evenly(tmp_path: Path) -> None:
    sent = dry_run(tmp_path, stream("1", 'rate = "3pps"'), "--count", "7")
    assert times(sent) == [n * SECOND // 3 for n in range(7)]


def test_a_rate_in_bits_gives_longer_frames_more_time(tmp_path: Path) -> None:
    toml = stream("1", 'rate = "8kbps"', "size = [100, 1000]")
    assert times(dry_run(tmp_path, toml, "--count", "5")) == [
        n * SECOND // 1000 for n in (0, 100, 1100, 1200, 2200)
    ]


def test_a_rate_of_layer_1_counts_20_bytes_more_a_frame(tmp_path: Path) -> None:
    toml = stream("1", 'rate = "8kbpsL1"', "size = 80")
    assert times(dry_run(tmp_path, toml, "--count", "3")) == [0, SECOND // 10, SECOND // 5]


def test_streams_with_rates_of_their_own_interleave_by_due_time(tmp_path: Path) -> None:
    toml = (
        stream("1", 'rate = "1kpps"') + stream("2", 'rate = "250pps"') + stream("3", 'rate="1kpps"')
    )
    sent = dry_run(tmp_path, toml, "--duration", "0.1")
    due = [(n * SECOND // 1000, 1) for n in range(100)]
    due += [(n * SECOND // 250, 2) for n in range(25)]
    due += [(n * SECOND // 1000, 3) for n in range(100)]
    assert list(zip(times(sent), order(sent), strict=True)) == sorted(due)


def test_streams_share_the_files_rate(tmp_path: Path) -> None:
    toml = 'rate = "400pps"\n' + stream("1", "share = 3") + stream("2")
    sent = dry_run(tmp_path, toml, "--duration", "1")
    assert order(sent).count(1) == 300
    assert order(sent).count(2) == 100


def test_the_command_lines_rate_replaces_the_files(tmp_path: Path) -> None:
    toml = 'rate = "400pps"\n' + stream("1") + stream("2", 'rate = "10pps"')
    sent = dry_run(tmp_path, toml, "--duration", "1", "--rate", "50pps")
    assert order(sent).count(1) == 50
    assert order(sent).count(2) == 10


def test_at_top_speed_streams_take_turns_by_their_shares(tmp_path: Path) -> None:
    sent = dry_run(tmp_path, stream("1", "share = 2") + stream("2"), "--count", "9")
    assert order(sent) == [1, 2, 1, 1, 2, 1, 1, 2, 1]
    assert set(times(sent)) == {0}


def test_each_stream_ends_with_its_own_count(tmp_path: Path) -> None:
    toml = stream("1", 'rate = "1kpps"', "count = 3") + stream("2", 'rate = "10pps"', "count = 2")
    assert order(dry_run(tmp_path, toml)) == [1, 2, 1, 1, 2]


def test_a_burst_keeps_the_average_rate(tmp_path: Path) -> None:
    toml = stream("1", 'rate = "1kpps"', "burst = 4")
    assert times(dry_run(tmp_path, toml, "--count", "10")) == [
        n // 4 * 4 * SECOND // 1000 for n in range(10)
    ]


def test_a_burst_takes_the_time_of_its_frames(tmp_path: Path) -> None:
    toml = stream("1", 'rate = "8kbps"', "burst = 2", "size = [100, 900, 500]")
    sent = dry_run(tmp_path, toml, "--count", "6")
    assert times(sent) == [n * SECOND // 1000 for n in (0, 0, 1000, 1000, 1600, 1600)]


def test_the_command_lines_burst_is_for_streams_that_name_none(tmp_path: Path) -> None:
    toml = stream("1", 'rate = "100pps"') + stream("2", 'rate = "100pps"', "burst = 1")
    sent = dry_run(tmp_path, toml, "--count", "8", "--burst", "3")
    assert order(sent) == [1, 1, 1, 2, 2, 2, 1, 1]


def poisson_gaps(folder: Path, count: int, *lines: str) -> list[int]:
    toml = stream("1", 'rate = "1kpps"', 'pacing = "poisson"', *lines)
    due = times(dry_run(folder, toml, "--count", str(count)))
    return [after - before for before, after in pairwise(due)]


def test_poisson_gaps_are_those_that_the_seed_draws(tmp_path: Path) -> None:
    draws = Draws("1", "gap")
    for gap in poisson_gaps(tmp_path, 1000):
        assert abs(gap - draws.exponential() * SECOND / 1000) < 2


def test_poisson_gaps_are_exponential_about_the_rate(tmp_path: Path) -> None:
    count = 20_000
    gaps = sorted(gap * 1000 / SECOND for gap in poisson_gaps(tmp_path, count + 1))
    assert abs(statistics.fmean(gaps) - 1) < 4 / math.sqrt(count)
    assert abs(statistics.pstdev(gaps) - 1) < 8 / math.sqrt(count)
    # Kolmogorov and Smirnov's greatest distance, at a level of about one in a million.
    distance = max(abs((n + 0.5) / count - (1 - math.exp(-gap))) for n, gap in enumerate(gaps))
    assert distance < 2.7 / math.sqrt(count)


def test_bursts_can_come_at_random(tmp_path: Path) -> None:
    draws = Draws("1", "gap")
    gaps = poisson_gaps(tmp_path, 90, "burst = 3")
    for number, gap in enumerate(gaps):
        wanted = draws.exponential() * 3 * SECOND / 1000 if number % 3 == 2 else 0
        assert abs(gap - wanted) < 2


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    toml = stream("1", 'rate = "1kpps"', 'pacing = "poisson"', "size = { random = [70, 1500] }")
    first, second, other = (
        dry_run(tmp_path, toml, "--count", "200", "--seed", seed) for seed in ("5", "5", "6")
    )
    assert first == second
    assert first != other
