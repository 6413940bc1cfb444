"""Downloads what a server holds of a datasource, as the server packs it.

Taking the extract out of the package belongs to `packaged`.
"""

from pathlib import Path

import tableauserverclient as TSC  # noqa: N812
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from mds_tableau.errors import DatasourceNotFound
from mds_tableau.tableau.session import Session


def download(
    session: Session, datasource_id: str, target: Path, *, revision: int | None = None
) -> None:
    """Write what a server sends of a datasource to a file, in little memory whatever its size.

    Args:
        session: The session.
        datasource_id: LUID of the datasource.
        target: The file; what is in it is lost.
        revision: Which revision; None for the newest.

    Raises:
        DatasourceNotFound: It has no such revision; says which there are.
        MdsTableauError: The server cannot be asked, or does not let it be downloaded.
    """
    number = None if revision is None else _number(session, datasource_id, revision)

    def fetch(client: TSC.Server) -> None:
        # opened again for each attempt, so that none leaves bytes before those of the next
        with target.open("wb") as file:
            client.datasources.download_revision(datasource_id, number, file)

    session.ask("Downloading the datasource", fetch)


def _number(session: Session, datasource_id: str, revision: int) -> str | None:
    """Return a revision as the client takes it; a server gives the newest without a number."""

    def ask(client: TSC.Server) -> list[int]:
        item = client.datasources.get_by_id(datasource_id)
        try:
            client.datasources.populate_revisions(item)
        except ServerResponseError as error:
            raise DatasourceNotFound(
                f"The revisions of '{item.name}' cannot be seen ({error.code} {error.detail}): the "
                "site may keep none, or the user may not download it. Leave --revision out for "
                "the newest."
            ) from error
        return sorted(
            int(one.revision_number)
            for one in item.revisions
            if one.revision_number and not one.deleted
        )

    there = session.ask("Looking at the revisions", ask)
    if revision not in there:
        raise DatasourceNotFound(
            f"There is no revision {revision}; there are: {', '.join(map(str, there)) or 'none'}."
        )
    return None if revision == there[-1] else str(revision)
