"""The `doctor` command: shows what `doctor` finds."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

import click

from mds_tableau import grid
from mds_tableau.columns import counted
from mds_tableau.doctor import examine
from mds_tableau.doctor_findings import Finding
from mds_tableau.exits import Scripted

_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_INDENT: Final = " " * 20


@click.command("doctor", cls=Scripted)
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON list of check, status, found, advice."
)
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check that everything a run needs is there.

    Each line says ok, warn or fail, what was seen and what to do. Nothing is published, and no
    secret is shown. Exit code 1 when something fails.

    \b
    Example:
      mds-tableau doctor --json
    """  # noqa: D301  # click takes the escaped character itself
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in findings], indent=2))
    else:
        grid.say(_summary(findings), grid.console())
    ctx.exit(1 if any(one.status == "fail" for one in findings) else 0)


def _show(finding: Finding) -> None:
    # a line for each finding, as far as what was said has one
    text = "\n".join(filter(None, (finding.found, finding.advice)))
    told = text.replace("\n", f"\n{_INDENT}")
    grid.say(
        f"{finding.status:<5} {finding.check:<13} {told}",
        grid.console(),
        _STYLES[finding.status] if finding.status != "ok" else "",
    )


def _summary(findings: Iterable[Finding]) -> str:
    failed = [one for one in findings if one.status == "fail"]
    return f"{counted(len(failed), 'failure')}." if failed else "Nothing fails."
