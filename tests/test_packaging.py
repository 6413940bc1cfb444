"""What is shipped, and who may import whom."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mds_tableau"
LIMITED = {
    # who may import it: the modules or packages below mds_tableau
    "apprise": {"alerts"},
    "dagster": {"defs", "definitions", "pipeline"},
    "dagster_dbt": {"defs", "pipeline"},
    "dagster_duckdb": {"defs", "pipeline"},
    # the sandbox, which shares nothing with the package, opens what is published to it
    "tableauhyperapi": {"hyper", "conversion", "sandbox"},
    "tableauserverclient": {"tableau"},
    "jinja2": {"sandbox"},
    "starlette": {"sandbox"},
    "uvicorn": {"sandbox"},
}


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    return {name.split(".")[0] for name in names} | {n for n in names if "mds_tableau" in n}


def test_libraries_are_imported_only_where_they_belong() -> None:
    """Each of the big libraries is imported in its own room, and the sandbox knows nobody."""
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        imported = _imports(path)
        for library, rooms in LIMITED.items():
            assert library not in imported or room in rooms, f"{path} imports {library}"
        if room == "sandbox":
            ours = {name for name in imported if name.startswith("mds_tableau.")}
            allowed = ("mds_tableau.sandbox", "mds_tableau.errors")
            assert all(name.startswith(allowed) for name in ours), path


def test_environment_is_read_in_one_place() -> None:
    """Only `settings` touches `os.environ`."""
    users = [
        path.name
        for path in PACKAGE.rglob("*.py")
        if re.search(r"os\.(environ|getenv)\b[^`]", path.read_text(encoding="utf-8"))
    ]
    assert users == ["settings.py"]


@pytest.mark.parametrize(
    "module",
    ["parquet", "hyper", "extracts", "tableau", "sandbox", "alerts.ledger", "alerts.judging"],
)
def test_core_works_without_dagster(module: str) -> None:
    """Importing the core loads neither Dagster nor dbt."""
    code = f"import sys, mds_tableau.{module}; print({{'dagster', 'dbt'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "set()"


def test_importing_the_definitions_does_nothing(tmp_path: Path) -> None:
    """Without a dbt project the definitions import, and leave no trace."""
    subprocess.run(
        [sys.executable, "-c", "import mds_tableau.definitions"], check=True, cwd=tmp_path
    )
    assert list(tmp_path.iterdir()) == []


def test_wheel_contains_the_package_only(tmp_path: Path) -> None:
    """The wheel holds the package and its metadata, and none of the dbt project, data or tests."""
    code = f"import hatchling.build; print(hatchling.build.build_wheel({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"mds_tableau"}
    assert "mds_tableau/py.typed" in names
    assert "mds_tableau/dagster.yaml" in names
    pages = "mds_tableau/sandbox/pages/templates"
    for path in (ROOT / pages).iterdir():
        assert f"{pages}/{path.name}" in names
    assert not [name for name in names if name.endswith((".sql", ".parquet", ".csv", ".hyper"))]


def test_constraints_cover_everything_that_is_installed() -> None:
    """Each package of this environment is pinned, to the version that is here, without a host."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    pinned: dict[str, set[str]] = {}
    for line in text.splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line):
            name = re.sub(r"[-_.]+", "-", found[1]).lower()
            pinned.setdefault(name, set()).add(found[2])
    done = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=freeze", "--exclude-editable"],
        capture_output=True,
        text=True,
        check=True,
    )
    tools = {"pip", "setuptools", "wheel", "uv"}
    for line in done.stdout.split():
        name, _, version = line.partition("==")
        normal = re.sub(r"[-_.]+", "-", name).lower()
        assert normal in tools or version in pinned.get(normal, set()), line
