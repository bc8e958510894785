"""What the command line has to say of reports: `fieldtap linktest report`, and whose test it is."""

from pathlib import Path

import click

from fieldtap.failures import CommandError
from fieldtap.linktest import results


@click.command("report")
@click.argument("report", metavar="REPORT.json", type=click.Path(path_type=Path))
@click.option(
    "--html", type=click.Path(path_type=Path), help="Write the page for a customer to this file."
)
def report_command(report: Path, html: Path | None) -> None:
    """Show the report of an earlier link test, or make its page anew.

    \b
    fieldtap linktest report uplink/report.json
    fieldtap linktest report uplink/report.json --html uplink.html
    """
    if html is None:
        from fieldtap.linktest import report_terminal

        report_terminal.print_report(results.read(report))
        return
    from fieldtap.linktest import report_html

    try:
        page = report_html.render(report.read_bytes(), report)
        with html.open("x") as file:
            file.write(page)
    except FileExistsError:
        raise CommandError(f"{html} exists; name another file") from None
    except OSError as error:
        raise CommandError(f"cannot make {html} from {report}: {error.strerror}") from None
