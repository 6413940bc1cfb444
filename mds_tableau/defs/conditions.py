"""Says when an extract is refreshed because its mart was rebuilt by somebody else.

That is another job, a code location with `@dbt_assets` of its own, or a person who materializes a
model. Runs that were started on the clock or by a file belong to `schedules` and `file_sensor`.
"""

from collections.abc import Sequence
from typing import Final

import dagster as dg

SENSOR: Final = "marts_rebuilt"


def when_rebuilt(
    assets: Sequence[dg.AssetsDefinition], *, after: Sequence[dg.AssetKey] = ()
) -> list[dg.AssetsDefinition]:
    """Return the assets of extracts with the condition that they follow what they are made of.

    Args:
        assets: The assets.
        after: Assets that they wait for, and that are no part of what they are made of.
    """
    condition = _condition(after)
    return [
        asset.map_asset_specs(lambda s: s.replace_attributes(automation_condition=condition))
        for asset in assets
    ]


def rebuilt_sensor(
    assets: Sequence[dg.AssetsDefinition], *, seconds: int, status: dg.DefaultSensorStatus
) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that starts what the conditions of these assets ask for.

    Args:
        assets: The assets of extracts.
        seconds: Between two looks, at the least.
        status: Whether it runs before anybody has switched it on or off.
    """
    return dg.AutomationConditionSensorDefinition(
        SENSOR,
        target=dg.AssetSelection.assets(*(key for asset in assets for key in asset.keys)),
        minimum_interval_seconds=seconds,
        default_status=status,
        description=(
            "Exports and publishes an extract when its mart was rebuilt in a run that does not do "
            "so itself: by another job, another code location or by hand."
        ),
    )


def _condition(after: Sequence[dg.AssetKey]) -> dg.AutomationCondition:  # type: ignore[type-arg]
    # what each of them tells is whether dbt ran, for whatever mart
    others = dg.AssetSelection.assets(*after)
    updated = dg.AutomationCondition.any_deps_updated()
    # the mart's event comes before those of its tests, which decide whether it may be exported
    tested = dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.any_checks_match(dg.AutomationCondition.in_progress())
    )
    building = dg.AutomationCondition.any_deps_in_progress()
    if after:
        updated, tested, building = (
            updated.ignore(others),
            tested.ignore(others),
            building.ignore(others),
        )
    return (
        updated.since_last_handled() & ~building & ~tested & ~dg.AutomationCondition.in_progress()
    ).with_label("mart_rebuilt")
