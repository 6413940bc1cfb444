"""The session that a mart is read in: its own for a table, that of dbt for a view."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pytest

from mds_tableau.errors import ExportError
from mds_tableau.sessions import Session, session_for

MOMENT = "timestamptz '2026-07-01 02:00:00+00'"


@pytest.fixture
def marts(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A view and a table, opened for reading, with a zone of its own."""
    path = tmp_path / "marts.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute('CREATE SCHEMA "The Marts"')
        for kind in ("VIEW", "TABLE"):
            connection.execute(
                f'CREATE {kind} "The Marts"."a {kind}" AS SELECT [{MOMENT}] AS moments'
            )
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        yield connection


def shown(connection: duckdb.DuckDBPyConnection, kind: str, session: Session | None = None) -> str:
    """The text of the moments of the view or of the table, as a session shows it."""
    relation = f'"marts"."The Marts"."a {kind}"'

    def given() -> Session:
        assert session is not None, "nobody had to ask"
        return session

    with session_for(connection, relation, mart="mart", dbt_session=given) as reader:
        [[text]] = reader.execute(f"SELECT moments::VARCHAR FROM {relation}").fetchall()
    return str(text)


def zone_of(connection: duckdb.DuckDBPyConnection) -> str:
    """The time zone of a session."""
    [[zone]] = connection.execute("SELECT current_setting('TimeZone')").fetchall()
    return str(zone)


@pytest.mark.parametrize("kind", ["TABLE", "table"])
def test_a_table_is_read_in_utc(marts: duckdb.DuckDBPyConnection, kind: str) -> None:
    """Whatever the machine or the profile says, which is not even asked."""
    assert shown(marts, kind) == "['2026-07-01 02:00:00+00']"
    assert zone_of(marts) == "Asia/Tokyo"


@pytest.mark.parametrize("place", ["options", "settings"])
def test_a_view_is_read_as_dbt_reads_it(marts: duckdb.DuckDBPyConnection, place: str) -> None:
    """What the profile sets at opening or in each session holds there, and nowhere else."""
    session = Session(**{place: {"TimeZone": "Europe/Berlin", "threads": 2}})
    assert shown(marts, "VIEW", session) == "['2026-07-01 04:00:00+02']"
    assert zone_of(marts) == "Asia/Tokyo"


def test_a_setting_of_the_session_goes_before_one_of_the_opening(
    marts: duckdb.DuckDBPyConnection,
) -> None:
    """As in dbt-duckdb, which opens first."""
    session = Session({"TimeZone": "Asia/Tokyo"}, {"TimeZone": "Europe/Berlin"})
    assert shown(marts, "VIEW", session) == "['2026-07-01 04:00:00+02']"


def test_what_only_opening_knows_is_left_out(marts: duckdb.DuckDBPyConnection) -> None:
    """The database is open already, for reading, and such options change no value."""
    options = {
        "access_mode": "READ_WRITE",
        "allow_unsigned_extensions": True,
        "custom_user_agent": "team",
        "TimeZone": "Europe/Berlin",
    }
    assert shown(marts, "VIEW", Session(options)) == "['2026-07-01 04:00:00+02']"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TimeZone": "Mars/Hushed"}, "'TimeZone' of the dbt profile here: Not implemented Error"),
        ({"no_such_thing": "Hushed"}, "'no_such_thing' of the dbt profile here: Catalog Error"),
        ({"memory_limit": "Hushed"}, "'memory_limit' of the dbt profile here: Parser Error"),
        ({"not a name": "Hushed"}, "'not a name' of the dbt profile here: Parser Error"),
    ],
)
def test_a_setting_that_is_refused_is_named_and_its_value_is_not(
    marts: duckdb.DuckDBPyConnection, settings: Mapping[str, str], said: str
) -> None:
    """A view may be another without it, so it is not read; a table is."""
    session = Session(settings=settings)
    with pytest.raises(ExportError) as refused:
        shown(marts, "VIEW", session)
    assert str(refused.value).startswith("Mart 'mart' is a view, so it has to be read with the")
    assert said in str(refused.value)
    assert str(refused.value).endswith(
        "Materialize the mart as a table, or remove the setting from the profile if the mart does "
        "not need it."
    )
    assert "Hushed" not in f"{refused.value}{session}"
    assert refused.value.__context__ is None
    assert shown(marts, "TABLE", session) == "['2026-07-01 02:00:00+00']"


def test_another_calendar_is_refused(marts: duckdb.DuckDBPyConnection) -> None:
    """In it the clock of a zone that the export asks for would be one of another year."""
    session = Session(settings={"Calendar": "japanese"})
    with pytest.raises(ExportError, match="setting 'Calendar' of the dbt profile asks for a cal"):
        shown(marts, "VIEW", session)
    assert shown(marts, "TABLE", session) == "['2026-07-01 02:00:00+00']"
