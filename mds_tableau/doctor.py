"""Looks whether everything that a run needs is there, each thing apart from the others.

How a check is run belongs here; what is looked at stands in `doctor_machine`,
`doctor_dagster`, `doctor_databases` and `doctor_server`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import Empty, Queue
from threading import Thread
from typing import Final

from mds_tableau.doctor_dagster import dagster_checks
from mds_tableau.doctor_databases import database_checks
from mds_tableau.doctor_findings import Check, Finding
from mds_tableau.doctor_machine import machine_checks
from mds_tableau.errors import SettingsError
from mds_tableau.settings import Settings, misspelt_variables, read_settings

_SECONDS: Final = 90.0
"""How long a check may take; parsing a dbt project anew is the longest that may be needed."""

_SHORTEST_SECRET: Final = 4
"""Characters; what is shorter would be found within words, and is no secret."""


def examine() -> Iterator[Finding]:
    """Run all checks and give what comes of each as it is known."""
    settings, problems, unreadable = _settings()
    hide = _hiding(settings)
    yield from map(hide, unreadable)
    yield from map(hide, (Finding("settings", "fail", problem) for problem in problems))
    if not problems and not unreadable:
        yield Finding("settings", "ok", f"complete, for {settings.target}")
    for name, meant in misspelt_variables().items():
        found = f"{name} is set, and is none of our settings"
        yield Finding("settings", "warn", found, f"Did you mean {meant}?")
    settings.export()
    for check in (
        *machine_checks(settings),
        *dagster_checks(settings),
        *database_checks(settings),
        *_server_checks(settings),
    ):
        yield from map(hide, run(check))


def _server_checks(settings: Settings) -> list[Check]:
    try:
        from mds_tableau.doctor_server import server_checks
    except ImportError as error:
        finding = Finding("server", "fail", f"not tried: {error}", "First mend the libraries.")
        return [Check("server", lambda: [finding])]
    return server_checks(settings)


def run(check: Check, seconds: float = _SECONDS) -> list[Finding]:
    """Return what comes of a check within so many seconds."""
    answers: Queue[list[Finding]] = Queue()
    # what hangs, such as a network drive that is gone, must not keep the others or the end waiting
    Thread(target=lambda: answers.put(_looked(check)), daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except Empty:
        found = f"no answer within {seconds:g} seconds"
        return [Finding(check.name, "fail", found, "Look at what it waits for: disk or network.")]


def _looked(check: Check) -> list[Finding]:
    findings: list[Finding] = []
    try:
        findings.extend(check.look())
    except Exception as error:  # noqa: BLE001  # one check that fails must not hide the others
        findings.append(Finding(check.name, "fail", str(error) or type(error).__name__))
    return findings


def _settings() -> tuple[Settings, list[str], list[Finding]]:
    try:
        return *read_settings(), []
    except SettingsError as error:
        return *read_settings(None), [Finding("settings", "fail", str(error))]


def _hiding(settings: Settings) -> Callable[[Finding], Finding]:
    """Return what takes secrets out of a finding, whoever else may have told one."""
    secrets = settings.secrets()

    def hidden(text: str) -> str:
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text

    return lambda one: replace(one, found=hidden(one.found), advice=hidden(one.advice))
