"""What dbt makes of `meta.tableau` on a column, from its YAML to the plan of an extract."""

import pytest

from mds_tableau.column_options import ColumnOptions
from mds_tableau.defs.project import find_project, prepare
from mds_tableau.errors import MartConfigError
from mds_tableau.extracts import Extract
from mds_tableau.project_extracts import plan_extracts
from tests.pipeline import Workplace

pytestmark = pytest.mark.dbt

YAML = """\
version: 2
models:
  - name: revenue
    columns:
      - name: Ordered On
        config: {meta: {tableau: {infinity: null, truncate: us}}}
      - name: Total Amount
        meta: {tableau: {as: text}}
        config: {meta: {tableau: {as: "numeric( 18, 2 )"}}}
      - name: plain
        config: {meta: {owner: finance}}
"""


def _plan(shop: Workplace, yaml: str) -> Extract:
    (shop.project / "models" / "reporting" / "reporting.yml").write_text(yaml)
    prepared = prepare(find_project(shop.settings()), "revenue")
    [extract] = plan_extracts(
        prepared.manifest, prepared.selected, selection="revenue", project="Default"
    ).valid()
    return extract


def test_options_of_columns_come_through_dbt(shop: Workplace) -> None:
    """A null in the YAML is still there, and the config wins over a `meta` beside it."""
    extract = _plan(shop, YAML)
    assert extract.options == {
        "Ordered On": ColumnOptions(infinity="null", truncate="us"),
        "Total Amount": ColumnOptions(as_="numeric(18,2)"),
    }
    assert extract.marts[0].yaml.replace("\\", "/") == "models/reporting/reporting.yml"


def test_typo_at_a_column_names_the_yaml_file(shop: Workplace) -> None:
    """The file is the one where the typo stands."""
    with pytest.raises(MartConfigError) as caught:
        _plan(shop, YAML.replace("truncate", "truncat"))
    assert (
        "Unknown key 'truncat' under meta.tableau of column 'Ordered On' of 'revenue' "
        "(models/reporting/reporting.yml). Allowed: as, infinity, truncate, timezone. "
        "Did you mean 'truncate'?"
    ) in str(caught.value)
