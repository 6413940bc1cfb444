"""The jobs for a bad day, as the launchpad offers them."""

from typing import Any

import dagster as dg

from mds_tableau.defs.stages import FORCE


def _extracts(definitions: dg.Definitions) -> set[str]:
    graph = definitions.resolve_asset_graph()
    return {key.path[-1] for key in graph.get_all_asset_keys() if key.path[0] == "tableau"}


def test_rollback_offers_the_extracts_that_are_published(definitions: dg.Definitions) -> None:
    """The launchpad has a list of them, the version is a text, and nothing else is required."""
    job = definitions.resolve_job_def("rollback")
    assert "earlier version" in str(job.description)
    fields: Any = job.run_config_schema.config_type
    config = (
        fields.fields["ops"]
        .config_type.fields["publish_earlier_version"]
        .config_type.fields["config"]
    )
    extract = config.config_type.fields["extract"]
    assert {value.config_value for value in extract.config_type.enum_values} == _extracts(
        definitions
    )
    assert extract.is_required
    assert not config.config_type.fields["to"].is_required


def test_publish_only_publishes_everything_also_what_has_not_changed(
    definitions: dg.Definitions,
) -> None:
    """It builds, exports and converts nothing."""
    job = definitions.resolve_job_def("publish_only")
    keys = job.asset_layer.executable_asset_keys
    assert {key.path[-1] for key in keys} == _extracts(definitions)
    assert {key.path[0] for key in keys} == {"tableau"}
    assert job.tags[FORCE] == "true"


def test_all_definitions_load_together(definitions: dg.Definitions) -> None:
    """As the UI and the daemon load them: no two have one name, and every job can be resolved."""
    repository = definitions.get_repository_def()
    repository.load_all_definitions()
    assert {"publish_only", "refresh_all", "rollback", "tidy_instance"} <= {*repository.job_names}
