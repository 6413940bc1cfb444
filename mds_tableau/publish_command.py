"""The `publish` command: one file, folder, table or query becomes a datasource.

Options become an order, and what came of it is printed; carrying it out belongs to `one_shot`. A
secret is never an option: it comes from the environment, a file, or a prompt.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console

from mds_tableau.column_options import ColumnOptions, parse_options
from mds_tableau.columns import counted
from mds_tableau.destination import Destination
from mds_tableau.errors import MdsTableauError, SettingsError, UsageError
from mds_tableau.exits import FAILED, Ended, exit_code
from mds_tableau.inputs.shape import Shape
from mds_tableau.one_shot import Done, Planned, carry_out, plan
from mds_tableau.orders import Order
from mds_tableau.plan_view import show_columns
from mds_tableau.publish_inputs import load_of
from mds_tableau.publish_options import Publish, with_options
from mds_tableau.publish_progress import watching
from mds_tableau.retention import Limits
from mds_tableau.settings import Settings, load_settings, read_settings, variable
from mds_tableau.tableau import About


@click.command(cls=Publish)
@with_options
def publish(**given: Any) -> None:
    """Publish a file, a table or a query as a datasource.

    Exit code 0: done; 1: failed; 2: wrong usage, such as a file that is not there; 3: the data is
    refused.

    \b
    Examples:
      mds-tableau publish --input sales.csv --name SalesData --project Analytics
      mds-tableau publish -i 'daily/*.parquet' -n Daily --columns day,net --where 'net > 0'
      mds-tableau publish -i umsatz.csv -n Umsatz --delimiter ';' --encoding cp1252
      mds-tableau publish -i env:SALES_DATABASE -n Orders --table sales.orders
      mds-tableau publish -i warehouse.duckdb -n Marts --tables fct_sales dim_store
    """  # noqa: D301  # click takes the escaped character itself
    if not given["name"].strip():
        raise click.UsageError("--name is empty. Give the name of the datasource.")
    if given["no_publish"] and given["output"] is None and not given["dry_run"]:
        raise click.UsageError("--no-publish needs --output: there would be nothing left.")
    if given["tables"] and given["output"]:
        raise click.UsageError("--output is for one datasource, and --tables makes several.")
    output: Path | None = given["output"]
    if output is not None and not output.absolute().parent.is_dir():
        raise click.UsageError(f"--output: there is no folder {output.absolute().parent}.")
    failed = _all_carried_out(given)
    if not failed:
        return
    code = exit_code(failed)
    if code == FAILED and len(failed) == 1:
        raise failed[0]
    raise Ended("\n".join(map(str, failed)), code, failed) from failed[0]


def _all_carried_out(given: Mapping[str, Any]) -> list[MdsTableauError]:
    """Publish each datasource, whatever becomes of the others; return what went wrong."""
    failed: list[MdsTableauError] = []
    try:
        settings = _settings(given)
        orders = _orders(given, settings)
    except MdsTableauError as error:
        return [error]
    for order in orders:
        try:
            _carry_out(order, settings, given)
        except MdsTableauError as error:  # noqa: PERF203  # one must not hold back the others
            failed.append(error)
    return failed


def _settings(given: Mapping[str, Any]) -> Settings:
    """Return the settings, with what was given on the command line in place of theirs."""
    words: dict[str, str] = {}
    if given["server"] is not None:
        words["tableau_server"] = given["server"]
    if given["site"] is not None:
        words["tableau_site"] = given["site"]
    if given["token_name"]:
        words |= {
            "tableau_token_name": given["token_name"],
            # one way to sign in, whatever else the environment has
            **dict.fromkeys(
                (
                    "tableau_username",
                    "tableau_password",
                    "tableau_connected_app_client_id",
                    "tableau_connected_app_secret_id",
                    "tableau_connected_app_secret_value",
                ),
                "",
            ),
        }
        if given["token_file"] is not None:
            words["tableau_token_value"] = _secret(given["token_file"])
        elif sys.stdin.isatty() and not variable("TABLEAU_TOKEN_VALUE"):
            words["tableau_token_value"] = click.prompt(
                f"Secret of the token '{given['token_name']}'", hide_input=True, err=True
            )
    try:
        settings = load_settings(Path(".env"), **words)
    except SettingsError as error:
        # whatever is wrong without the options would be wrong of the settings
        if not words or read_settings(Path(".env"))[1]:
            raise
        raise UsageError(str(error)) from error
    settings.export()
    return settings


def _secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        # not what it holds, which may be a secret all the same
        raise UsageError(
            f"--token-file {path} cannot be read as text ({type(error).__name__})."
        ) from None


def _orders(given: Mapping[str, Any], settings: Settings) -> list[Order]:
    tables: tuple[str, ...] = given["tables"] or (given["table"] or "",)
    make = partial(_order, given, settings)
    if given["tables"]:
        names = [f"{given['name']} - {table}" for table in tables]
        # a server does not tell names apart that differ in case only
        folded = [name.casefold() for name in names]
        twice = sorted({name for name in names if folded.count(name.casefold()) > 1})
        if twice:
            raise UsageError(
                f"--tables would make several datasources of one name: {', '.join(twice)}. Name "
                "each table once; publish tables whose names differ in case only one by one, with "
                "--table and a --name of their own."
            )
        return [make(table, name) for table, name in zip(tables, names, strict=True)]
    return [make(tables[0], given["name"])]


def _order(given: Mapping[str, Any], settings: Settings, table: str, name: str) -> Order:
    return Order(
        load=load_of(given, table),
        name=name,
        project=given["project"] or settings.tableau_project,
        shape=Shape(given["columns"], given["rename"], given["where"]),
        options=_asked(given["ask"]),
        about=About(given["description"], given["tags"], given["owner"]),
        mode=given["mode"],
        output=given["output"],
        publishes=not given["no_publish"],
        # the sandbox is nobody's server, and so has the projects that somebody names
        create_project=settings.mds_create_projects or settings.uses_sandbox,
        allow_empty=given["allow_empty"],
        allow_row_fall=given["allow_row_fall"],
        max_row_fall=settings.mds_max_row_fall,
        verify=settings.mds_verify,
        force=given["force"] or settings.mds_force,
        limits=Limits.of(settings),
        memory=settings.mds_memory,
    )


def _carry_out(order: Order, settings: Settings, given: Mapping[str, Any]) -> None:
    folder = settings.mds_data_dir / "one_shot"
    is_silent = given["quiet"] or given["as_json"]
    with watching(is_silent=is_silent) as progress, _warnings() as heard:
        if given["dry_run"]:
            planned, done = plan(order, folder, settings.target, progress), None
        else:
            done = carry_out(order, Destination.of(settings), folder, settings.target, progress)
    if done is None:
        _tell(planned.loaded.notes, planned.warnings, is_silent=is_silent)
        if given["as_json"]:
            click.echo(json.dumps(_planned_as_json(planned, order)))
            return
        click.echo(
            f"{order.name}: of {planned.loaded.origin}, to project '{order.project}' on "
            f"{settings.target}"
        )
        show_columns(planned.types, Console(width=None if sys.stdout.isatty() else 160))
        return
    done = replace(done, warnings=(*done.warnings, *heard))
    _tell(done.notes, done.warnings, is_silent=is_silent)
    if given["as_json"]:
        click.echo(json.dumps(_as_json(done, order)))
    elif not given["quiet"]:
        click.echo(_summary(done, order))


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Give the warnings that the core logs within, which nobody else shows."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    core, listener = logging.getLogger("mds_tableau"), Listener(logging.WARNING)
    core.addHandler(listener)
    propagates, core.propagate = core.propagate, False
    try:
        yield heard
    finally:
        core.removeHandler(listener)
        core.propagate = propagates


def _tell(notes: Sequence[str], warnings: Sequence[str], *, is_silent: bool) -> None:
    for note in () if is_silent else notes:
        click.echo(f"Note: {note}", err=True)
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)


def _summary(done: Done, order: Order) -> str:
    rows = counted(done.made.rows, "row")
    kept = f" The extract is {order.output}." if order.output is not None else ""
    if done.published is None:
        return f"{rows} of {done.origin}.{kept}"
    told = done.published
    revision = f", revision {told.revision}" if told.revision else ""
    if done.is_unchanged:
        return (
            f"Unchanged: '{told.datasource}' in '{told.project}' holds these {rows} of "
            f"{done.origin} since {told.published_at}: {told.url}{kept}"
        )
    return (
        f"Published {rows} of {done.origin} as '{told.datasource}' in '{told.project}' "
        f"({told.mode}{revision}): {told.url}{kept}"
    )


def _as_json(done: Done, order: Order) -> dict[str, Any]:
    made = done.made
    published = asdict(done.published) if done.published is not None else {}
    return {
        "name": order.name,
        "origin": done.origin,
        "rows": made.rows,
        "columns": {name: str(of_type) for name, of_type in made.columns},
        "extract_bytes": made.bytes,
        "sha256": made.sha256,
        "output": str(order.output) if order.output is not None else None,
        "published": published or None,
        "unchanged": done.is_unchanged,
        "notes": list(done.notes),
        "warnings": list(done.warnings),
    }


def _planned_as_json(planned: Planned, order: Order) -> dict[str, Any]:
    return {
        "name": order.name,
        "project": order.project,
        "origin": planned.loaded.origin,
        "columns": [
            {
                "name": column.name,
                "source_type": column.duckdb_type,
                "hyper_type": str(column.hyper_type),
                "note": column.note,
            }
            for column in planned.types.columns
        ],
        "notes": list(planned.loaded.notes),
        "warnings": list(planned.warnings),
    }


def _asked(given: Mapping[str, str]) -> dict[str, ColumnOptions]:
    """Return what is asked for single columns, in the words of `config.meta.tableau`."""
    asked: dict[str, ColumnOptions] = {}
    problems: list[str] = []
    for column, text in given.items():
        try:
            # quoted by the shell already, so a comma is one of numeric(p,s)
            key, _, value = text.partition(":")
            words = {key.strip(): yaml.safe_load(value)}
        except yaml.YAMLError:
            problems.append(f"--ask {column}={text!r} is not of the form 'COLUMN=as: text'.")
            continue
        options = parse_options(words, where=f"column '{column}' (--ask)")
        if isinstance(options, ColumnOptions):
            asked[column] = options
        else:
            problems += options
    if problems:
        raise UsageError("\n".join(problems))
    return asked
