"""What an extract is: what one Tableau datasource holds, and where it is published.

Today it is the one mart that it is named after. Which extracts a project has is decided in
`project_extracts`, and what a model may say of its own in `mart_meta`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from mds_tableau.column_options import ColumnOptions
from mds_tableau.deadlines import Deadline
from mds_tableau.manifest import Mart

PublishMode = Literal["auto", "overwrite", "replace", "append", "create"]
"""What a publish does with a datasource that is there already.

`auto` replaces its data and keeps its fields where the columns are known to be the same as before,
and else overwrites it; `overwrite` puts the new one in its place; `replace` changes its data only;
`append` adds the rows to it; `create` leaves it alone, and fails.
"""

PUBLISH_MODES: Final[tuple[PublishMode, ...]] = get_args(PublishMode)


@dataclass(frozen=True)
class Extract:
    """One Tableau datasource and the marts that it holds.

    Attributes:
        name: Name of the extract, of its `.hyper` and of its assets.
        marts: What it holds, one table for each; today exactly one.
        datasource: Name of the datasource on the server.
        project: Path of the project on the server, such as `Retail/Daily`.
        description: Description of the datasource, or "" for none.
        publish: Whether it goes to the server; if not, it ends as a `.hyper`.
        allow_empty: Whether it may be published without rows.
        max_row_fall: Largest share of its rows that it may lose in one publish; None when the
            model leaves it to the setting.
        keep: How many published versions of it are kept; None when the model leaves it to the
            setting.
        options: What is asked for its columns, by name as the dbt project writes it.
        mode: What to do with a datasource that is there already.
        tags: Tags of the datasource, beside those that it was given on the server.
        owner: Name of the user who owns the datasource; "" leaves it to the server.
        requires_owner: Whether that name was given for Tableau, so that it ought to be known there.
        schedule: Name of its schedule; "" when its model names none, None for no schedule at all.
        deadline: When it has to be fresh; None when nobody promised.
    """

    name: str
    marts: tuple[Mart, ...]
    datasource: str
    project: str
    description: str
    publish: bool
    allow_empty: bool = False
    max_row_fall: float | None = None
    keep: int | None = None
    options: Mapping[str, ColumnOptions] = field(default_factory=dict)
    mode: PublishMode = "auto"
    tags: tuple[str, ...] = ()
    owner: str = ""
    requires_owner: bool = False
    schedule: str | None = ""
    deadline: Deadline | None = None


def step_name(stage: str, extract: str) -> str:
    """Return the name that Dagster gives to the step of the asset `stage/extract`.

    >>> step_name("tableau", "daily-sales")
    'tableau__daily_sales'
    """
    # nothing of Dagster is imported here: a test holds this to what Dagster does
    return f"{stage}__{extract}".replace("-", "_").replace(".", "_")
