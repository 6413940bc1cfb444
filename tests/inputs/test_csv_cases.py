from pathlib import Path

import pytest

from mds_tableau.errors import InputError
from tests.inputs.csv_cases import BAD, GOOD, Bad, Good
from tests.inputs.loading import load_csv


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD.keys())
def test_loads_exactly(case: Good, tmp_path: Path) -> None:
    """Each nasty file becomes exactly its columns, types and values, and nothing is left beside."""
    columns, rows, loaded = load_csv(tmp_path, case.content, **case.options)

    assert columns == case.columns
    assert rows == case.rows
    said = "\n".join(loaded.notes)
    assert all(words in said for words in case.notes), said
    assert {path.name for path in (tmp_path / ".work").iterdir()} == {"work.duckdb"}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_refuses_with_the_place_and_a_remedy(case: Bad, tmp_path: Path) -> None:
    """Each file that cannot be read exactly is refused with where, what and what to do."""
    with pytest.raises(InputError) as caught:
        load_csv(tmp_path, case.content, **case.options)

    message = str(caught.value)
    assert all(words in message for words in case.words), message
    assert "Possible fixes" not in message
