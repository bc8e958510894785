"""What the command line has to do with reports: whose test it is, where its report goes, and
`fieldtap linktest report`.
"""

import sys
from pathlib import Path

import click

from fieldtap.failures import BAD_USAGE, CommandError
from fieldtap.linktest import results
from fieldtap.linktest.results import LinktestReport, Occasion

OPTIONS = (
    click.option("--notes", default="", help="For the report: what else is to be known."),
    click.option("--operator", default="", help="For the report: who tests."),
    click.option("--site", default="", help="For the report: where the link is."),
    click.option("--customer", default="", help="For the report: whose link it is."),
    click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        help="Write the report into this folder, as JSON, as CSV, and as a page for the customer.",
    ),
)
"""What every test takes, the last first."""


def occasion(options: dict[str, object]) -> Occasion:
    """Return what was said of the test by options."""
    return Occasion(**{name: str(options[name]) for name in Occasion.__struct_fields__})


def prepare(out: Path | None) -> None:
    """Make the folder for a report, before hours are spent. Raises `CommandError`."""
    from fieldtap.linktest import report_folder  # Jinja and pygal take a tenth of a second

    if out is not None:
        report_folder.make(out)


def deliver(report: LinktestReport, out: Path | None, *, as_json: bool) -> None:
    """Print the report, and write it where that was asked for. Raises `NotSavedError`."""
    from fieldtap.linktest import report_folder, report_terminal

    if as_json:
        sys.stdout.write(results.encode(report).decode())
    else:
        report_terminal.print_report(report)
    if out is None:
        return
    try:
        saved = report_folder.save(report, out)
    except report_folder.NotSavedError as error:
        if error.kept is None and not as_json:
            sys.stdout.write(results.encode(report).decode())  # else it would be lost
        raise
    click.echo(f"fieldtap: the report is {saved.html}, its figures {saved.json}", err=True)


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
    if report.is_dir():
        text = f"{report} is a folder: name the report in it, as in {report / 'report.json'}"
        raise CommandError(text, BAD_USAGE)
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
