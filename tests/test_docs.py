"""What the documents say exists, and what exists is in the documents."""

import re
from importlib.metadata import metadata
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mds_tableau.cli import main
from mds_tableau.database_sources import ALLOWED_INGEST
from mds_tableau.extracts import PUBLISH_MODES
from mds_tableau.mart_meta import ALLOWED_META
from mds_tableau.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PUBLISHING = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
DATABASES = (ROOT / "docs" / "database-sources.md").read_text(encoding="utf-8")
COMMAND_PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
COMMANDS = main.list_commands(click.Context(main))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_in_the_readme_and_explains_itself(name: str) -> None:
    """The README lists it, the page of commands its options; its help has an example of it."""
    assert f"`mds-tableau {name}`" in README
    [section] = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", COMMAND_PAGE, re.DOTALL | re.MULTILINE)
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    # on lines of their own: what click wraps cannot be copied
    assert re.search(rf"^  Examples?:\n    mds-tableau {name}\b", result.stdout, re.MULTILINE)
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            assert parameter.help, parameter.name
            assert f"`{parameter.opts[0]}`" in section, parameter.opts[0]


def test_page_of_commands_names_no_other_option() -> None:
    """Each option of the page exists."""
    context = click.Context(main)
    commands = [main, *filter(None, (main.get_command(context, name) for name in COMMANDS))]
    there = {text for command in commands for one in command.params for text in one.opts}
    assert set(re.findall(r"`(--[a-z-]+)`", COMMAND_PAGE)) <= there


def test_readme_names_no_other_command() -> None:
    """Each `mds-tableau X` of the README and of the page of commands exists."""
    named = re.findall(r"mds-tableau ([a-z]+)", README + COMMAND_PAGE)
    assert set(named) <= set(COMMANDS)


def test_settings_of_the_documents_exist_and_those_of_the_server_are_there() -> None:
    """Each variable of the documents exists; the README or its page on publishing has TABLEAU_*."""
    named = set(re.findall(r"\b(?:TABLEAU|MDS|DBT)_[A-Z_]+[A-Z]\b", README + PUBLISHING))
    fields = {name.upper() for name in Settings.model_fields}
    # the README shortens the three of a connected app
    shortened = {"TABLEAU_CONNECTED_APP_SECRET_ID", "TABLEAU_CONNECTED_APP_SECRET_VALUE"}
    assert {name for name in fields if name.startswith("TABLEAU_")} - shortened <= named
    assert named <= fields


def test_each_mode_is_explained() -> None:
    """The page on publishing has a row for each mode that there is."""
    assert tuple(re.findall(r"^\| `([a-z]+)` \|", PUBLISHING, re.MULTILINE)) == PUBLISH_MODES


def test_each_key_of_meta_tableau_is_in_the_readme() -> None:
    """The example of `meta.tableau` shows each key that is allowed, and no other."""
    [example] = re.findall(r"        tableau: .*\n((?:          .*\n)+)", README)
    assert set(re.findall(r"^          (\w+):", example, re.MULTILINE)) == set(ALLOWED_META)


def test_each_key_of_meta_ingest_is_explained() -> None:
    """The page on database sources has a row for each key that there is."""
    assert tuple(re.findall(r"^\| `([a-z]+)` \|", DATABASES, re.MULTILINE)) == tuple(ALLOWED_INGEST)


def test_each_target_of_make_is_true() -> None:
    """Each `make X` of the documents is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        used = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
        assert used <= targets, document


def test_links_of_the_documents_lead_somewhere() -> None:
    """Each relative link of the documents is a file of the repository."""
    pages = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
    for document in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", *pages):
        path = ROOT / document
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{document}: {target}"


def test_what_is_installed_is_the_checkout() -> None:
    """The project is on no index: no text gives pip its name, and each extra of a text exists."""
    extras = set(metadata("mds-tableau").get_all("Provides-Extra") or ())
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile"]
    paths += (ROOT / "docs").glob("*.md")
    paths += (path for path in (ROOT / "deploy").rglob("*") if path.suffix != ".xml")
    paths += (ROOT / "mds_tableau").rglob("*.py")
    said = set()
    for path in filter(Path.is_file, paths):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install[^\n`]*\bmds[-_]tableau\b", text), path
        for command in re.findall(r"pip install -c constraints.txt ([^`#\n]*)", text):
            assert command.startswith("-e"), f"{path}: {command}"
        called = re.findall(r"\binstall\(['\"](\w[\w-]*)['\"]\)", text)
        listed = re.findall(r"-e\s+['\"]?\.\[([a-z,-]+)\]", text)
        said |= {extra for one in (*called, *listed) for extra in one.split(",")}
    assert {"excel", "postgres", "postgres-instance", "sql", "sqlite"} <= said <= extras


def test_readme_stays_short() -> None:
    """The README fits in 200 lines."""
    assert len(README.splitlines()) <= 200
