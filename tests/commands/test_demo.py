"""`mds-tableau demo` where it cannot run."""

from pathlib import Path

from tests.commands.conftest import Run


def test_without_the_project_it_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    """Before any data is copied, and with what to do."""
    result = run("demo")
    assert result.exit_code == 1
    assert f"There is no dbt project in {tmp_path / 'dbt_project'}, and the demo" in result.stderr
    assert "Published" not in result.output
    assert list(tmp_path.iterdir()) == []
