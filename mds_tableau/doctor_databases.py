"""What is looked at of the databases that sources of the dbt project are read from.

That the project itself can be parsed is looked at in `doctor_machine`.
"""

from collections.abc import Iterator

from mds_tableau.columns import counted
from mds_tableau.doctor_findings import Check, Finding
from mds_tableau.errors import MdsTableauError
from mds_tableau.inputs.database_url import FromVariable, scrubbed, shown
from mds_tableau.settings import Settings, variable


def database_checks(settings: Settings) -> list[Check]:
    """Return the check of the connections that the sources name; it says nothing of none."""
    return [Check("databases", lambda: _databases(settings))]


def _databases(settings: Settings) -> Iterator[Finding]:
    from mds_tableau.defs.configured import configured
    from mds_tableau.defs.dbt import FolderTranslator

    # what is wrong with the project is said by the check of it
    sources = configured(FolderTranslator(), settings).sources
    for name in sorted({source.connection for source in sources}):
        yield _connection(name, variable(name))


def _connection(name: str, url: str) -> Finding:
    from mds_tableau.inputs.databases import tables_of

    if not url:
        advice = "Set it, or write it into .env, to the URL of the database."
        return Finding("databases", "fail", f"{name} is not set", advice)
    database = FromVariable(url, name)
    try:
        found = counted(len(tables_of(database)), "table")
        return Finding("databases", "ok", f"{name}: it answers and has {found}")
    except MdsTableauError as error:
        text = scrubbed(str(error), database).replace(shown(database), "it")
        return Finding("databases", "fail", f"{name}: {text.removeprefix(f'{name} ')}")
