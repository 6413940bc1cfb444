"""Shows the raw files as assets whose data version changes when their content does.

dbt-duckdb reads the files in place, so nothing is made here; finding and reading them belongs to
`mds_tableau.sources`.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

from mds_tableau.defs.failing import told_plainly
from mds_tableau.manifest import Manifest, Source
from mds_tableau.sources import fingerprint, patterns, require_files


def file_sources(manifest: Manifest, translator: DagsterDbtTranslator) -> dict[dg.AssetKey, Source]:
    """Return the dbt sources that read files, by the key of their assets."""
    return {
        translator.get_asset_spec(manifest.content, source.unique_id, None).key: source
        for source in manifest.sources()
    }


def raw_assets(
    manifest: Manifest, translator: DagsterDbtTranslator, *, base: Path, cache: Path
) -> list[dg.AssetsDefinition]:
    """Return one observable asset for each dbt source that reads files; none if there are none.

    Args:
        manifest: The dbt manifest.
        translator: Names, groups and describes the assets.
        base: Folder that relative locations start from.
        cache: JSON file with what was seen of each file.
    """
    sources = file_sources(manifest, translator)
    if not sources:
        return []
    specs = [_spec(manifest, translator, source) for source in sources.values()]
    with warnings.catch_warnings():
        # the decorator that keeps owners and kinds is marked as beta, since 1.8
        warnings.simplefilter("ignore", dg.BetaWarning)

        @dg.multi_observable_source_asset(  # type: ignore[untyped-decorator]
            name="raw", specs=specs, can_subset=True
        )
        def raw(context: dg.AssetExecutionContext) -> Iterator[dg.ObserveResult]:
            for key in sorted(context.selected_asset_keys, key=lambda key: key.path):
                with told_plainly():
                    files = require_files(sources[key], base=base)
                yield dg.ObserveResult(
                    asset_key=key,
                    data_version=dg.DataVersion(fingerprint(files, cache=cache)),
                    metadata={
                        "files": dg.MetadataValue.json([str(file) for file in files]),
                        "bytes": sum(file.stat().st_size for file in files),
                    },
                )

    return [raw]


def _spec(manifest: Manifest, translator: DagsterDbtTranslator, source: Source) -> dg.AssetSpec:
    spec = translator.get_asset_spec(manifest.content, source.unique_id, None)
    suffixes = {Path(pattern).suffix.lstrip(".").lower() for pattern in patterns(source)}
    return dg.AssetSpec(
        spec.key,
        description=manifest.content["sources"][source.unique_id].get("description"),
        group_name="raw",
        owners=spec.owners,
        tags={
            key: value for key, value in spec.tags.items() if not key.startswith("dagster/kind/")
        },
        kinds={suffix for suffix in suffixes if suffix} or {"file"},
        metadata={
            name: value
            for name, value in spec.metadata.items()
            if name in {"dagster/column_schema", "dagster/table_name"}
        }
        | {"location": source.location},
    )
