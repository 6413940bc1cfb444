"""Decides what a publish does with the datasource that is there, by what is asked and known.

Sending it belongs to `publish`; what is known of an earlier publish is remembered by who asks.
"""

from dataclasses import dataclass
from typing import Final

import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import Conflict, DatasourceNotFound, SchemaChanged
from mds_tableau.extracts import PublishMode
from mds_tableau.tableau.lookup import Held

_SENT: Final = {
    "overwrite": TSC.Server.PublishMode.Overwrite,
    "replace": TSC.Server.PublishMode.Replace,
    "append": TSC.Server.PublishMode.Append,
    "create": TSC.Server.PublishMode.CreateNew,
}


@dataclass(frozen=True)
class Earlier:
    """What is remembered of the last publish of an extract to this server.

    Attributes:
        id: LUID of the datasource that it became.
        revision: Its revision then; None where the server told none.
        has_same_columns: Whether the columns are those of what is to be published now.
    """

    id: str
    revision: int | None
    has_same_columns: bool


@dataclass(frozen=True)
class Choice:
    """What is sent.

    Attributes:
        mode: What the publish does; never `auto`.
        may_overwrite: Whether overwriting is the answer to a server that refuses it.
    """

    mode: PublishMode
    may_overwrite: bool = False

    @property
    def sent(self) -> str:
        """The client's name of the mode."""
        return _SENT[self.mode]


def choose(mode: PublishMode, doing: str, before: Held | None, earlier: Earlier | None) -> Choice:
    """Return what is sent for what is asked.

    Args:
        mode: What is asked.
        doing: What is being done, for messages.
        before: What the server holds now.
        earlier: What is remembered of the last publish; None when nothing is.

    Raises:
        Conflict: It is to be created, and is there.
        DatasourceNotFound: Rows are to be appended, and it is not there.
        SchemaChanged: Only its data is to be changed, and the columns are known to differ.
    """
    if before is None:
        if mode == "append":
            raise DatasourceNotFound(
                f"{doing} failed: there is no such datasource that rows could be appended to. "
                "Publish it once with the mode overwrite."
            )
        # an overwrite: with create, a publish whose answer was lost could not be repeated
        return Choice("create" if mode == "create" else "overwrite")
    if mode == "create":
        raise Conflict(
            f"{doing} failed: the datasource is there already ({before.id}), and the mode create "
            "leaves it alone. Choose another name, or the mode auto or overwrite."
        )
    known = earlier if earlier is not None and earlier.id == before.id else None
    refuse_other_columns(mode, doing, known)
    if mode != "auto":
        return Choice(mode)
    if known is not None and known.has_same_columns:
        return Choice("replace", may_overwrite=True)
    return Choice("overwrite")


def refuse_other_columns(mode: PublishMode, doing: str, known: Earlier | None) -> None:
    """Stop what would change the data alone of a datasource that has other columns.

    Args:
        mode: What is asked.
        doing: What is being done, for messages.
        known: What is remembered of the datasource; None when nothing is.

    Raises:
        SchemaChanged: The columns are known to differ.
    """
    if mode in {"replace", "append"} and known is not None and not known.has_same_columns:
        raise SchemaChanged(
            f"{doing} failed: its columns are no longer those that were published last, so its "
            f"data alone cannot be changed by the mode {mode}. Publish it once with the mode "
            "overwrite."
        )
