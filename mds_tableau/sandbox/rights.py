"""Who may change what: administrators everything, others what is theirs or was allowed to them.

The one rule of the sandbox belongs here; a real server's evaluation of permissions (groups,
denials, locked projects, site roles) does not, and nothing is ever hidden from anybody. Users are
administrators unless the configuration names them as publishers.
"""

import sqlite3

from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError
from mds_tableau.sandbox.filters import Row


def is_admin(db: sqlite3.Connection, call: Call) -> bool:
    """Returns whether the caller is an administrator."""
    row = db.execute("SELECT name FROM users WHERE id = ?", (call.session.user_id,)).fetchone()
    return row["name"] not in call.store.config.publishers


def check_admin(db: sqlite3.Connection, call: Call, code: int, what: str) -> None:
    """Refuses everybody but administrators.

    Raises:
        ApiError: The code; the caller is none.
    """
    if not is_admin(db, call):
        raise _forbidden(code, what)


def check_write(db: sqlite3.Connection, call: Call, row: Row, code: int) -> None:
    """Refuses a change of a data source to whom it was not allowed.

    Raises:
        ApiError: The code; the caller is no administrator, owns neither it nor its project, and has
            no Write rule there.
    """
    if not _may(db, call, row["owner_id"], [row["id"], row["project_id"]], row["project_id"]):
        raise _forbidden(code, f"update the datasource '{row['name']}'")


def check_project(db: sqlite3.Connection, call: Call, row: Row, code: int) -> None:
    """Refuses what only those may do who may write into a project.

    Raises:
        ApiError: The code; the caller is no administrator, not its owner, and has no Write rule.
    """
    if not may_write(db, call, row):
        raise _forbidden(code, f"write to the project '{row['name']}'")


def may_write(db: sqlite3.Connection, call: Call, row: Row | sqlite3.Row) -> bool:
    """Returns whether the caller may write into a project."""
    return _may(db, call, row["owner_id"], [row["id"]], row["id"])


def check_publish(
    db: sqlite3.Connection, call: Call, project_id: str, datasource_id: str | None
) -> None:
    """Refuses publishing to whom it was not allowed.

    Raises:
        ApiError: 403007; the caller may write neither to the project nor to what is there.
    """
    items = [project_id, *([datasource_id] if datasource_id else [])]
    owner = db.execute("SELECT owner_id FROM datasources WHERE id = ?", (datasource_id,)).fetchone()
    if not _may(db, call, owner and owner["owner_id"], items, project_id):
        raise _forbidden(403007, "publish to this project")


def _may(
    db: sqlite3.Connection, call: Call, owner_id: str | None, items: list[str], project_id: str
) -> bool:
    user_id = call.session.user_id
    if owner_id == user_id or is_admin(db, call):
        return True
    project = db.execute("SELECT owner_id FROM projects WHERE id = ?", (project_id,)).fetchone()
    if project["owner_id"] == user_id:
        return True
    rules = db.execute(
        "SELECT item_id, grantee_kind, grantee_id, mode FROM permissions WHERE capability = 'Write'"
    ).fetchall()
    return any(
        rule["item_id"] in items
        and rule["mode"] == "Allow"
        and (rule["grantee_kind"] == "group" or rule["grantee_id"] == user_id)
        for rule in rules
    )


def _forbidden(code: int, what: str) -> ApiError:
    return ApiError(code, f"The user isn't authorized to {what}.")
