"""Test frames go out of no port that is in use, unless it is named, and every run has an end."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fieldlab import End, ft_generate, lab, program, running, tool

COUNT = ("--count", "10")


@pytest.fixture
def port() -> Iterator[End]:
    """The left end of a link whose ends are in one namespace."""
    with lab(together=True) as made:
        yield made.left


def ip(end: End, *argv: str) -> None:
    end.run(tool("ip"), *argv)


def let_ipv6(end: End) -> None:
    """Let the port have IPv6, which the lab keeps off."""
    for what in ("all", "default", end.port):
        end.run(tool("sysctl"), "-qw", f"net.ipv6.conf.{what}.disable_ipv6=0")


def give_address(end: End) -> None:
    ip(end, "addr", "add", "192.0.2.1/24", "dev", end.port)


def give_ipv6_address(end: End) -> None:
    let_ipv6(end)
    ip(end, "addr", "add", "2001:db8::1/64", "dev", end.port)


def give_default_route(end: End) -> None:
    give_address(end)
    ip(end, "route", "add", "default", "via", "192.0.2.254", "dev", end.port)


def give_one_of_two_default_routes(end: End) -> None:
    give_address(end)
    ways = ("nexthop", "dev", "lo", "nexthop", "via", "192.0.2.254", "dev", end.port)
    ip(end, "route", "add", "default", "table", "100", *ways)


def give_ipv6_default_route(end: End) -> None:
    let_ipv6(end)
    ip(end, "-6", "route", "add", "default", "dev", end.port)


def put_in_a_bridge(end: End) -> None:
    ip(end, "link", "add", "ft-bridge", "type", "bridge")
    ip(end, "link", "set", end.port, "master", "ft-bridge")


def stack(end: End) -> str:
    """Put a device on the port: what VLANs do too, and every kernel can."""
    ip(end, "link", "add", "link", end.port, "name", "ft-upper", "type", "macvlan")
    ip(end, "link", "set", "ft-upper", "up")
    return "ft-upper"


def give_what_is_on_it_an_address(end: End) -> None:
    ip(end, "addr", "add", "192.0.2.1/24", "dev", stack(end))


def put_what_is_on_it_in_a_bridge(end: End) -> None:
    ip(end, "link", "add", "ft-bridge", "type", "bridge")
    ip(end, "link", "set", stack(end), "master", "ft-bridge")


USES = {
    give_address: "has the address 192.0.2.1/24",
    give_ipv6_address: "has the address 2001:db8::1/64",
    give_default_route: "carries the default route",
    give_one_of_two_default_routes: "carries the default route",
    give_ipv6_default_route: "carries the default route",
    put_in_a_bridge: "is a member of 'ft-bridge'",
    give_what_is_on_it_an_address: "is below 'ft-upper', which has the address 192.0.2.1/24",
    put_what_is_on_it_in_a_bridge: "is below 'ft-upper', which is a member of 'ft-bridge'",
}


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
@pytest.mark.parametrize("tool_and_option", [("ft-generate", "-o"), ("ft-reflect", "-i")])
def test_a_port_in_use_is_refused_in_a_line_that_says_what_uses_it(
    port: End, use: object, tool_and_option: tuple[str, str]
) -> None:
    assert callable(use)
    use(port)
    name, option = tool_and_option
    done = port.run(program(name), option, port.port, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"{name}: {option}: port 'ft-left' {USES[use]}; choose a port that nothing uses, or say "
        "that you mean it: --force ft-left\n"
    )


def generate(end: End, *options: str | Path) -> None:
    with running(end, ft_generate("-o", end.port, *COUNT, *options), wait=False) as generator:
        assert generator.finish()["tx"]["submitted"] == 10


def test_a_port_in_use_is_sent_on_when_it_is_named(port: End) -> None:
    give_default_route(port)
    generate(port, "--force", port.port)


def test_naming_another_port_does_not_help(port: End) -> None:
    done = port.run(*ft_generate("-o", port.port, "--force", "ft-right"), check=False)
    assert done.returncode == 2
    assert done.stderr == ("ft-generate: --force ft-right: test frames would go out of 'ft-left'\n")


def test_a_link_local_address_that_the_kernel_made_is_no_use(port: End) -> None:
    let_ipv6(port)
    ip(port, "addr", "add", "fe80::1/64", "dev", port.port)
    generate(port)


def test_what_another_port_is_used_for_does_not_matter(port: End) -> None:
    give_default_route(End(port.namespace, "ft-right"))
    generate(port)


def test_a_port_that_only_receives_may_be_in_use(port: End) -> None:
    give_address(End(port.namespace, "ft-right"))
    generate(port, "-r", "ft-right")


@pytest.mark.parametrize(
    ("held_by", "tried"),
    [
        (("ft-generate", "-o"), ("ft-generate", "-o")),
        (("ft-reflect", "-i"), ("ft-generate", "-o")),
        (("ft-reflect", "-i"), ("ft-reflect", "-i")),
    ],
)
def test_a_port_by_which_a_run_sends_is_refused_to_the_next_one(
    port: End, held_by: tuple[str, str], tried: tuple[str, str]
) -> None:
    holder, option = held_by
    name, own_option = tried
    with running(port, [program(holder), option, port.port], name="held"):
        done = port.run(program(name), own_option, port.port, check=False)
    assert done.returncode == 2
    assert f"{own_option}: port 'ft-left': {holder} 'held' sends by it already" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_is_free_again_when_the_run_that_sent_by_it_was_killed(port: End) -> None:
    argv = ft_generate("-o", port.port, "-r", "ft-right", "--rate", "1kpps")
    with running(port, argv, name="killed") as held:
        held.send_signal(signal.SIGKILL)
        held.wait()
        generate(port)


def test_frames_of_another_program_do_not_count_as_lost(port: End) -> None:
    sender = Path(__file__).with_name("numbered_sender.py")
    options = ("-o", port.port, "-r", "ft-right", "--rate", "1kpps", "--count", "2000")
    with running(port, ft_generate(*options)) as generator:
        port.run(sys.executable, sender, port.port, "500")
        report = generator.finish()
    assert report["tx"]["frames"] == 2500
    assert report["tx"]["submitted"] == 2000
    assert report["rx"]["lost"] == 0
    assert report["valid"] is False
    assert "500 frames of another program" in report["invalid_reason"]


def test_a_count_that_would_take_more_than_a_day_is_refused_before_anything_is_sent(
    port: End,
) -> None:
    options = ("--count", "1000000", "--rate", "1pps")
    done = port.run(*ft_generate("-o", port.port, *options), check=False)
    assert done.returncode == 2
    assert "--duration 1000000" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_count_that_the_duration_cuts_short_is_not_valid(port: End) -> None:
    options = ("--count", "1000000", "--rate", "1kpps", "--duration", "0.1")
    with running(port, ft_generate("-o", port.port, *options), wait=False) as generator:
        report = generator.finish()
    assert report["stop_reason"] == "duration"
    assert report["valid"] is False
    assert report["tx"]["frames"] == 100
    assert "time was up after 100 of 1000000" in report["invalid_reason"]


def test_no_duration_is_longer_than_thirty_days(port: End) -> None:
    done = port.run(*ft_generate("-o", port.port, "--duration", "2592001"), check=False)
    assert done.returncode == 2
    assert "at most 30 days" in done.stderr


def test_a_port_to_receive_by_is_refused_under_the_name_of_its_option(port: End) -> None:
    done = port.run(*ft_generate("-o", port.port, "-r", "no-such"), check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("ft-generate: -r: port 'no-such': no such interface")


def test_a_port_that_is_down_fails_as_it_does_for_a_capture(port: End) -> None:
    ip(port, "link", "set", port.port, "down")
    done = port.run(*ft_generate("-o", port.port), check=False)
    assert done.returncode == 1
    assert "is down; bring it up" in done.stderr


def test_a_replay_that_cannot_be_read_fails_and_is_no_bad_option(port: End) -> None:
    done = port.run(*ft_generate("-o", port.port, "--replay", "/no/such.pcap"), check=False)
    assert done.returncode == 1
    assert "--replay /no/such.pcap: cannot open" in done.stderr


def test_a_dry_run_at_top_speed_speaks_of_no_rate(port: End, tmp_path: Path) -> None:
    options = ("-o", f"file:{tmp_path / 'x.pcap'}", "--rate", "max", "--count", "3")
    assert "3 frames sent\n" in port.run(program("ft-generate"), *options).stderr
