"""Tableau's own command line against the sandbox.

It wants another version of TSC than this project, so it has an environment of its own, made in
pytest's cache at the first run and used again; without a package index that is skipped.
"""

import os
import subprocess
import sys
import uuid
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox

VERSION = "2.0.21"
INSTALL_SECONDS = 240


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest) -> Path:
    """The tabcmd program."""
    folder = request.config.cache.mkdir(f"tabcmd-{VERSION}-{sys.version_info.minor}")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    made = next(iter(programs.glob("tabcmd*")), None)
    if made is None:
        venv.create(folder, with_pip=True, clear=True)
        python = next(programs.glob("python*"))
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", f"tabcmd=={VERSION}"],
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"tabcmd cannot be installed here: {done.stderr.strip()[-200:]}")
        made = next(programs.glob("tabcmd*"))
    return made


@pytest.fixture
def tabcmd(program: Path, opening: Sandbox, tmp_path: Path) -> Callable[..., str]:
    """Runs tabcmd as ada and returns what it prints."""
    home = tmp_path / "home"
    home.mkdir()
    who = ["--server", opening.url, "--username", "ada", "--password", "correct horse"]

    def run(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [program, *words, *who, "--no-cookie", "--no-prompt"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "HOME": str(home), "USERPROFILE": str(home)},
            cwd=home,  # it leaves its log where it is started
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.mark.hyper
def test_tabcmd_signs_in_publishes_and_deletes(
    tabcmd: Callable[..., str],
    opener: TSC.Server,
    hyper: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """The command line makes a project, publishes twice, finds, gets and deletes a data source."""
    name, project = uuid.uuid4().hex, uuid.uuid4().hex
    path = hyper(tmp_path / "a.hyper", [(1, "a"), (2, "b")])
    tabcmd("createproject", "--name", project)
    tabcmd("publish", str(path), "--name", name, "--project", project)
    assert "403007" in tabcmd("publish", str(path), "--name", name, "--project", project, code=1)
    tabcmd("publish", str(path), "--name", name, "--project", project, "--overwrite")
    tabcmd("publish", str(path), "--name", name, "--project", project, "--append")
    [item] = opener.datasources.filter(name=name)
    opener.datasources.populate_revisions(item)
    assert (item.project_name, len(item.revisions)) == (project, 3)
    assert str(item.id) in tabcmd("list", "datasources")
    tabcmd("delete", "--datasource", name, "--project", project)
    assert list(opener.datasources.filter(name=name)) == []
