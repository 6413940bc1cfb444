"""The options of the `publish` command, and what their text means.

What is done with them belongs to `publish_command`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from mds_tableau.exits import Scripted
from mds_tableau.extracts import PUBLISH_MODES
from mds_tableau.inputs.files import FORMATS


class Publish(Scripted):
    """A command whose `--tables` takes several names behind it, as `--tables a b` does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give each of the names an option of its own, and read them as click does."""
        expanded: list[str] = []
        is_among = False
        for arg in args:
            if arg == "--tables":
                is_among = True
                continue
            is_among = is_among and not arg.startswith("-")
            expanded += ["--tables", arg] if is_among else [arg]
        return super().parse_args(ctx, expanded)


def _pairs(ctx: click.Context, parameter: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    """Return what was given as NAME=VALUE, by name."""
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text!r} is not of the form {parameter.metavar}.", ctx)
        if name in pairs:
            raise click.BadParameter(f"{name!r} is given twice.", ctx)
        pairs[name] = value
    return pairs


def _names(ctx: click.Context, parameter: click.Parameter, given: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (given or "").split(",") if name.strip())


_OPTIONS: Final = (
    click.option(
        "--input",
        "-i",
        "places",
        metavar="WHERE",
        multiple=True,
        required=True,
        help=(
            "File, folder or glob (CSV, TSV, Parquet, JSON lines, Excel), - for standard input, "
            " a DuckDB or SQLite file, a database URL without a password, or env:NAME for "
            "the URL in that variable. May be repeated for files."
        ),
    ),
    click.option("--name", "-n", required=True, help="Name of the datasource."),
    click.option(
        "--project", "-p", help="Its project, a path or LUID.  [default: TABLEAU_PROJECT]"
    ),
    click.option("--table", help="Table of a database."),
    click.option(
        "--tables", multiple=True, help="Tables of a database, each a datasource: NAME - TABLE."
    ),
    click.option("--query", help="SELECT to read of a database."),
    click.option(
        "--format",
        "kind",
        type=click.Choice(FORMATS),
        help="Format of the files.  [default: by suffix]",
    ),
    click.option("--sheet", help="Sheet of an Excel file.  [default: the only one]"),
    click.option("--delimiter", default="", help="Between two fields of a CSV file."),
    click.option("--quote", help='Around fields of a CSV file; "" for none.'),
    click.option("--encoding", default="", help="Of a CSV file, such as cp1252.  [default: UTF-8]"),
    click.option("--header/--no-header", default=None, help="Whether the first row has names."),
    click.option("--decimal", default="", help="Decimal sign of a CSV file: . or ,"),
    click.option("--thousands", default="", help="What groups digits in a CSV file."),
    click.option("--date-format", default="", help="Dates of a CSV file, such as %d/%m/%Y."),
    click.option("--timestamp-format", default="", help="Timestamps of a CSV file."),
    click.option(
        "--null", "nulls", multiple=True, help="Text that means no value; may be repeated."
    ),
    click.option("--skip", default=0, type=click.IntRange(0), help="Lines before the header."),
    click.option(
        "--type",
        "types",
        metavar="COLUMN=TYPE",
        multiple=True,
        callback=_pairs,
        help=(
            "DuckDB type of a column, such as zip=VARCHAR or net=DECIMAL(12,2); may be repeated."
        ),
    ),
    click.option(
        "--ask",
        metavar="COLUMN=OPTION",
        multiple=True,
        callback=_pairs,
        help=(
            "What becomes of a column, as in dbt: 'note=as: json', 'seen=timezone: Europe/London'."
        ),
    ),
    click.option(
        "--columns", callback=_names, help="Columns to take, separated by commas, in this order."
    ),
    click.option(
        "--rename",
        metavar="OLD=NEW",
        multiple=True,
        callback=_pairs,
        help="Another name for a column.",
    ),
    click.option("--where", default="", help="SQL condition for the rows to take."),
    click.option(
        "--mode",
        type=click.Choice(PUBLISH_MODES),
        default="auto",
        show_default=True,
        help=("What happens to a datasource that is there: see docs/publishing.md."),
    ),
    click.option("--description", default="", help="Description of the datasource."),
    click.option("--tag", "tags", multiple=True, help="Tag of the datasource; may be repeated."),
    click.option("--owner", default="", help="User who owns the datasource."),
    click.option("--allow-empty", is_flag=True, help="Publish also without any rows."),
    click.option(
        "--allow-row-fall", is_flag=True, help="Publish also with far fewer rows than before."
    ),
    click.option(
        "--force", is_flag=True, help="Publish also what the server holds since the last time."
    ),
    click.option(
        "--output",
        "-o",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Keep the .hyper here.",
    ),
    click.option("--no-publish", is_flag=True, help="Only make the .hyper; needs --output."),
    click.option(
        "--dry-run", is_flag=True, help="Print what would become of each column, and stop."
    ),
    click.option(
        "--server", help="URL of the server.  [default: TABLEAU_SERVER, or the local sandbox]"
    ),
    click.option("--site", help="Content URL of the site.  [default: TABLEAU_SITE]"),
    click.option(
        "--token-name", help="Personal access token to sign in with.  [default: TABLEAU_TOKEN_NAME]"
    ),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help=(
            "File with the token's secret.  [default: TABLEAU_TOKEN_VALUE, or asked for on a "
            "terminal]"
        ),
    ),
    click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object for each datasource."
    ),
    click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors."),
)


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all options, in the order in which help lists them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
