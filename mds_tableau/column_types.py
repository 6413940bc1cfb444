"""Plans what becomes of each column of a mart, or says all that is wrong with them together.

Which ways a type can take is decided in `column_rules`; parsing options belongs to
`column_options`, looking at values to `values`.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from mds_tableau.column_names import name_problems
from mds_tableau.column_options import ColumnOptions
from mds_tableau.column_rules import rule_of
from mds_tableau.columns import ColumnPlan, quote_identifier
from mds_tableau.errors import UnsupportedColumn
from mds_tableau.wording import MODEL, Wording


def plan_columns(
    described: Iterable[tuple[str, str]],
    *,
    mart: str,
    file: str,
    options: Mapping[str, ColumnOptions] | None = None,
    problems: Sequence[str] = (),
    wording: Wording = MODEL,
) -> tuple[ColumnPlan, ...]:
    """Return the plan for each column of a mart, in the mart's order.

    Args:
        described: Name and DuckDB type of each column, as DESCRIBE gives them.
        mart: Name of the mart, for the message.
        file: Path of the model's SQL file, for the message.
        options: What is asked for single columns, by name; case does not matter, as in DuckDB.
        problems: What is known to be wrong with the columns already, to be told with the rest.
        wording: How messages speak of the mart.

    Raises:
        UnsupportedColumn: A column has a type or a name that an extract cannot hold, or an option
            does not suit its column; names all of them with what to write instead.

    >>> [plan] = plan_columns([("total", "HUGEINT")], mart="daily", file="daily.sql")
    >>> plan.selected, str(plan.hyper_type)
    ('CAST("total" AS BIGINT) AS "total"', 'BIG_INT')
    """
    columns = list(described)
    names = [name for name, _ in columns]
    asked, unknown = _by_column(names, options or {}, wording)
    problems = [*problems, *name_problems(names), *unknown]
    plans: list[ColumnPlan] = []
    refused: list[str] = []
    for name, duckdb_type in columns:
        plan = _plan(name, duckdb_type, asked.get(name, ColumnOptions()), wording)
        if isinstance(plan, ColumnPlan):
            plans.append(plan)
        else:
            refused.append(name)
            problems.append(plan)
    if problems:
        lines = "".join(f"\n- {line}" for line in problems)
        raise UnsupportedColumn(
            f"Cannot export {wording.what} '{mart}' ({file}):{lines}",
            mart=mart,
            columns=tuple(refused),
        )
    return tuple(plans)


def _by_column(
    names: list[str], options: Mapping[str, ColumnOptions], wording: Wording
) -> tuple[dict[str, ColumnOptions], list[str]]:
    known = {name.casefold(): name for name in names}
    asked: dict[str, ColumnOptions] = {}
    problems = []
    for name, wanted in options.items():
        exact = name if name in names else known.get(name.casefold())
        if exact is not None:
            asked[exact] = wanted
            continue
        near = get_close_matches(name, names, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        problems.append(
            f"{wording.asks} something for column '{name}', which the {wording.what} does not "
            f"have.{hint}"
        )
    return asked, problems


def _plan(
    name: str, duckdb_type: str, options: ColumnOptions, wording: Wording
) -> ColumnPlan | str:
    """Plan one column; a text says why there is none."""
    quoted = quote_identifier(name)
    rule = rule_of(duckdb_type, options)
    asked = {
        "as": options.as_,
        "infinity": options.infinity,
        "truncate": options.truncate,
        "timezone": options.timezone,
    }
    unsuited = [
        f"{key}: {value}"
        for key, value in asked.items()
        if value and key != "as" and key not in rule.options
    ]
    if rule.zone and options.timezone not in {"", rule.zone}:
        unsuited.append(f"timezone: {options.timezone}")
    way = rule.way(options.as_)
    if unsuited or (options.as_ and way is None):
        wanted = ", ".join(unsuited) or f"as: {options.as_}"
        allowed = f"It can be {' or '.join(rule.words)}" if rule.words else "Remove it"
        return (
            f"column '{name}' has type {duckdb_type}, which '{wanted}' {wording.option} does not "
            f"suit. {allowed}."
        )
    if way is None:
        cast = wording.convert.replace("convert", "Cast")
        ask = (
            f"Ask for {' or '.join(rule.words)} {wording.place}, {wording.convert}, or leave it "
            "out."
            if rule.words
            else f"{cast} to a type that docs/types.md lists, or leave it out."
        )
        said = rule.refusal.replace("{}", quoted)
        return (
            f"column '{name}' has type {duckdb_type}, which a Hyper extract cannot hold. "
            f"{said} {ask}".replace("  ", " ")
        )
    return way.plan(name, duckdb_type)
