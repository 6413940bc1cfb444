"""What a command says with `--json` when it goes wrong: one form, whichever command it is."""

import json
from pathlib import Path

import pytest

from tests.commands.conftest import Run

BAD_SETTING = {"MDS_KEEP": "many"}


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "error", "said"),
    [
        (("versions", "NOPE"), {}, 1, "VersionNotFound", "Nothing was published"),
        (("rollback", "NOPE"), {}, 1, "VersionNotFound", "Nothing was published"),
        (("rollback",), {}, 2, "UsageError", "Missing argument 'NAME'"),
        (("inspect", "gone.hyper"), {}, 2, "UsageError", "'gone.hyper' does not exist"),
        (("inspect", "text.hyper"), {}, 1, "ExtractError", "text.hyper"),
        (("pull", "Gone", "--to", "xls"), {}, 2, "UsageError", "'xls' is not one of"),
        (("pull", "Gone", "--output", "no/x.hyper"), {}, 2, "UsageError", "no folder"),
        (("versions", "\udcff"), {}, 2, "UsageError", r"The argument \xff is no text in UTF-8."),
        (("list",), BAD_SETTING, 1, "SettingsError", "MDS_KEEP is 'many'"),
        (("prune",), BAD_SETTING, 1, "SettingsError", "MDS_KEEP is 'many'"),
    ],
)
@pytest.mark.hyper
def test_what_goes_wrong_is_an_object(
    run: Run,
    tmp_path: Path,
    arguments: tuple[str, ...],
    variables: dict[str, str],
    code: int,
    error: str,
    said: str,
) -> None:
    """On stdout, with the class and the message; stderr and exit code are as without `--json`."""
    (tmp_path / "text.hyper").write_text("no extract")
    plain = run(*arguments, **variables)
    assert (plain.exit_code, plain.stdout) == (code, "")
    result = run(*arguments, "--json", **variables)
    assert (result.exit_code, result.stderr) == (code, plain.stderr)
    told = json.loads(result.stdout)
    assert set(told) == {"error", "message"}
    assert told["error"] == error
    assert said in told["message"]
    assert told["message"] in plain.stderr
