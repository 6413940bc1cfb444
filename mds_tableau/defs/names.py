"""Refuses names of which Dagster can make no assets, in words that name the files.

What an extract may be called is decided in `mds_tableau.project_extracts`.
"""

from collections.abc import Mapping

import dagster as dg

# not exported at top level; capped with Dagster, and a test holds them to what Dagster refuses
from dagster._core.definitions.utils import DISALLOWED_NAMES, has_valid_name_chars

from mds_tableau.errors import MartConfigError
from mds_tableau.manifest import Manifest


def check_names(by_key: Mapping[dg.AssetKey, str], manifest: Manifest) -> None:
    """Name the files of models and sources whose names Dagster would refuse in words of its own.

    Raises:
        MartConfigError: There are such; names all of them.
    """
    outputs: dict[str, list[str]] = {}
    for key, unique_id in by_key.items():
        outputs.setdefault(key.to_python_identifier(), []).append(unique_id)
    files = {unique_id: mart.file for unique_id, mart in manifest.marts.items()}
    files |= {table.unique_id: f"{table.file} ({table.name})" for table in manifest.source_tables()}
    problems = []
    for name, unique_ids in sorted(outputs.items()):
        listed = ", ".join(sorted(files.get(unique_id, unique_id) for unique_id in unique_ids))
        if not has_valid_name_chars(name):
            problems.append(f"{listed}: '{name}' has characters that an asset cannot have")
        elif name in DISALLOWED_NAMES:
            problems.append(f"{listed}: '{name}' is a word that Dagster keeps for itself")
        elif len(unique_ids) > 1:
            problems.append(f"{listed}: Dagster calls all of them '{name}'")
    if problems:
        lines = "".join(f"\n- {problem}." for problem in problems)
        raise MartConfigError(
            f"Dagster can make no assets of some models of the dbt project:{lines}\nRename them, "
            "with letters of ASCII, digits, '_', '-' and '.' only."
        )
