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
from typing import Any, Final

import click
import yaml
from rich.console import Console

from mds_tableau.column_options import ColumnOptions, parse_options
from mds_tableau.columns import counted
from mds_tableau.destination import Destination
from mds_tableau.errors import (
    AppendedAlready,
    EmptyExtract,
    ExportError,
    InputError,
    MdsTableauError,
    RowsFell,
    SchemaChanged,
    UnsupportedColumn,
)
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.database_url import shown
from mds_tableau.inputs.databases import DatabaseInput, load_database
from mds_tableau.inputs.files import CsvOptions, FileInput, load_files
from mds_tableau.inputs.shape import Shape
from mds_tableau.one_shot import Done, Load, Order, carry_out, plan
from mds_tableau.plan_view import show_columns
from mds_tableau.publish_options import Publish, with_options
from mds_tableau.publish_progress import watching
from mds_tableau.retention import Limits
from mds_tableau.settings import Settings, load_settings, variable
from mds_tableau.tableau import About

_DATA: Final = (
    InputError,
    UnsupportedColumn,
    ExportError,
    EmptyExtract,
    RowsFell,
    AppendedAlready,
    SchemaChanged,
)
"""Errors that are about the data, which end with an exit code of their own."""


class _Refused(click.ClickException):
    """The data is refused, which scripts can tell from other failures."""

    exit_code = 3


@click.command(cls=Publish)
@with_options
def publish(**given: Any) -> None:
    """Publish a file, a table or a query as a datasource.

    Exit code 0: done; 1: failed; 2: wrong usage; 3: the data is refused.

    \b
    Examples:
      mds-tableau publish --input sales.csv --name SalesData --project Analytics
      mds-tableau publish -i 'daily/*.parquet' -n Daily --columns day,net --where 'net > 0'
      mds-tableau publish -i umsatz.csv -n Umsatz --delimiter ';' --encoding cp1252
      mds-tableau publish -i env:SALES_DATABASE -n Orders --table sales.orders
      mds-tableau publish -i warehouse.duckdb -n Marts --tables fct_sales dim_store
    """  # noqa: D301  # click takes the escaped character itself
    if given["no_publish"] and given["output"] is None and not given["dry_run"]:
        raise click.UsageError("--no-publish needs --output: there would be nothing left.")
    if given["tables"] and given["output"]:
        raise click.UsageError("--output is for one datasource, and --tables makes several.")
    failed = _all_carried_out(given)
    if not failed:
        return
    if given["as_json"]:
        for error in failed:
            click.echo(json.dumps({"error": type(error).__name__, "message": str(error)}))
    if len(failed) == 1 and not isinstance(failed[0], _DATA):
        raise failed[0]
    told = "\n".join(map(str, failed))
    kind = _Refused if all(isinstance(error, _DATA) for error in failed) else click.ClickException
    raise kind(told) from failed[0]


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
            words["tableau_token_value"] = given["token_file"].read_text().strip()
        elif sys.stdin.isatty() and not variable("TABLEAU_TOKEN_VALUE"):
            words["tableau_token_value"] = click.prompt(
                f"Secret of the token '{given['token_name']}'", hide_input=True, err=True
            )
    settings = load_settings(Path(".env"), **words)
    settings.export()
    return settings


def _orders(given: Mapping[str, Any], settings: Settings) -> list[Order]:
    tables: tuple[str, ...] = given["tables"] or (given["table"] or "",)
    make = partial(_order, given, settings)
    if given["tables"]:
        return [make(table, f"{given['name']} - {table}") for table in tables]
    return [make(tables[0], given["name"])]


def _order(given: Mapping[str, Any], settings: Settings, table: str, name: str) -> Order:
    return Order(
        load=_load(given, table),
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
        limits=Limits.of(settings),
        memory=settings.mds_memory,
    )


def _load(given: Mapping[str, Any], table: str) -> Load:
    """Return what reads the input: a database where a table or query of one is asked for."""
    places: tuple[str, ...] = given["places"]
    database = places[0] if table or given["query"] else ""
    if not database:
        return partial(_load_files, _files(given))
    if len(places) > 1:
        raise click.UsageError("--table, --tables and --query are for one --input.")
    if database.startswith("env:"):
        url = variable(database.removeprefix("env:"))
        if not url:
            raise InputError(f"--input {database}: there is no such environment variable.")
    else:
        url = database
        if shown(url) != url:
            raise InputError(
                "--input holds a password, which others can see on the command line. Put the URL "
                "into an environment variable and name that: --input env:NAME. For PostgreSQL, "
                "PGPASSWORD or a .pgpass file does, too."
            )
    wanted = DatabaseInput(url, table=table, query=given["query"] or "", types=given["types"])
    return partial(_load_database, wanted)


def _load_files(wanted: FileInput, connection: Any, progress: Progress) -> Loaded:
    return load_files(connection, wanted, table="input", progress=progress)


def _load_database(wanted: DatabaseInput, connection: Any, progress: Progress) -> Loaded:
    return load_database(connection, wanted, table="input", progress=progress)


def _files(given: Mapping[str, Any]) -> FileInput:
    return FileInput(
        given["places"],
        format=given["kind"] or "",
        csv=CsvOptions(
            delimiter=given["delimiter"],
            quote=given["quote"],
            encoding=given["encoding"],
            header=given["header"],
            decimal=given["decimal"],
            thousands=given["thousands"],
            date_format=given["date_format"],
            timestamp_format=given["timestamp_format"],
            nulls=given["nulls"],
            skip=given["skip"],
        ),
        types=given["types"],
    )


def _carry_out(order: Order, settings: Settings, given: Mapping[str, Any]) -> None:
    folder = settings.mds_data_dir / "one_shot"
    is_silent = given["quiet"] or given["as_json"]
    with watching(is_silent=is_silent) as progress, _warnings() as heard:
        if given["dry_run"]:
            planned, loaded = plan(order, folder, progress)
            done = None
        else:
            done = carry_out(order, Destination.of(settings), folder, settings.target, progress)
    if done is None:
        _tell(loaded.notes, (), is_silent=is_silent)
        click.echo(
            f"{order.name}: of {loaded.origin}, to project '{order.project}' on {settings.target}"
        )
        show_columns(planned, Console(width=None if sys.stdout.isatty() else 160))
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
        "notes": list(done.notes),
        "warnings": list(done.warnings),
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
        raise InputError("\n".join(problems))
    return asked
