"""The command `clock`."""

from datetime import datetime

import click
import msgspec

from fieldtap.cli_hardware import clear_away_when_ended, json_option
from fieldtap.failures import CHECK_FAILED, DONE


@click.command()
@click.option("--watch", is_flag=True, help="Go on, and print each change as it comes.")
@click.option(
    "--for",
    "least_s",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Look for so long before judging: an offset takes 60 estimates, one a Sync.",
)
@json_option
def clock(watch: bool, least_s: float, as_json: bool) -> int:
    """Show what keeps time here and judge it: PTP, adapter clocks, pulses, phc2sys, chrony, sfptpd.

    Offsets are the slave's own estimates. Grandmasters are pinned in /etc/fieldtap/clock.toml.
    Exits with 3 when a check fails.

    \b
    fieldtap clock
    fieldtap clock --for 62 --json
    fieldtap clock --watch
    """
    clear_away_when_ended()  # the address that ptp4l replies to
    if watch:
        return _watch(as_json=as_json)
    from fieldtap import clocks

    report = clocks.report(least_s)
    if as_json:
        encoded = msgspec.json.format(msgspec.json.encode(report), indent=2)
        click.echo(encoded.decode())
    else:
        from fieldtap import tables

        tables.print_checks(report)
    return CHECK_FAILED if report.verdict == "fail" else DONE


def _watch(*, as_json: bool) -> int:
    from fieldtap import clocks, tables

    try:
        for event in clocks.changes():
            if as_json:
                click.echo(msgspec.json.encode(event).decode())
                continue
            at = datetime.fromtimestamp(event.at_ns / 1e9).strftime("%H:%M:%S.%f")[:-3]
            tables.print_change(at, event.id, event.subject, event.check)
    except KeyboardInterrupt:
        return DONE
    return DONE
