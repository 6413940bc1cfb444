"""What is looked at of Dagster's instance: whether it can be opened, if there is one.

What has to hold of its folder and how it is opened belong to `dagster_home` and `defs.instance`.
"""

from collections.abc import Iterator

from mds_tableau.columns import counted
from mds_tableau.dagster_home import home_of
from mds_tableau.doctor_findings import Check, Finding
from mds_tableau.errors import SettingsError
from mds_tableau.settings import Settings


def dagster_checks(settings: Settings) -> list[Check]:
    """Return the check of the instance."""
    return [Check("dagster", lambda: _instance(settings))]


def _instance(settings: Settings) -> Iterator[Finding]:
    try:
        home = home_of(settings)
    except SettingsError:  # .env cannot be read, which the check of the settings says
        yield Finding("dagster", "warn", "not tried", "First mend the settings, then look again.")
        return
    if home.exists() and not home.is_dir():
        yield Finding("dagster", "fail", f"{home} is a file", "Set DAGSTER_HOME to a folder.")
        return
    if not (home / "dagster.yaml").exists():
        # looking must not make it
        found = f"no instance in {home} yet; `mds-tableau up` and `refresh` make it"
        yield Finding("dagster", "ok", found)
        return
    settings.export(DAGSTER_HOME=str(home))
    # loading it takes seconds, which a machine without an instance is spared
    from mds_tableau.defs.instance import opened

    with opened(home) as instance:
        found = f"{home} opens and has {counted(instance.get_runs_count(), 'run')}"
        yield Finding("dagster", "ok", found)
