"""What a sandbox has before anybody publishes: users, sites, projects, groups and workbooks.

Adding what the configuration names and the folder lacks belongs here; nothing that is there already
is changed, because a folder outlives the sandbox that made it. The tables stand in `store`.
"""

import re
import sqlite3
import uuid

from mds_tableau.sandbox.config import SandboxConfig, SeedWorkbook

ALL_USERS = "All Users"


def seed(db: sqlite3.Connection, config: SandboxConfig, now: str) -> None:
    """Adds what is missing.

    Args:
        db: An open transaction.
        config: What the sandbox serves.
        now: The time, as the API writes it.
    """
    for name in config.user_names:
        db.execute(
            "INSERT OR IGNORE INTO users VALUES (?, ?, ?)",
            (str(uuid.uuid4()), name, name.casefold()),
        )
    owner = db.execute(
        "SELECT id FROM users WHERE name_key = ?", (config.user_names[0].casefold(),)
    ).fetchone()["id"]
    for content_url in dict.fromkeys(["", config.site]):
        site_id = _site(db, content_url, owner, now)
        for path in config.projects:
            _project_path(db, site_id, path, owner, now)
        for workbook in config.workbooks:
            _workbook(db, site_id, workbook, owner, now)


def _site(db: sqlite3.Connection, content_url: str, owner: str, now: str) -> str:
    added = db.execute(
        "INSERT OR IGNORE INTO sites (id, name, content_url, content_url_key) VALUES (?, ?, ?, ?)",
        (str(uuid.uuid4()), content_url or "Default", content_url, content_url.casefold()),
    )
    site_id = str(
        db.execute(
            "SELECT id FROM sites WHERE content_url_key = ?", (content_url.casefold(),)
        ).fetchone()["id"]
    )
    if added.rowcount:
        about = "The default project that was automatically created by Tableau."
        _project(db, site_id, "", "Default", owner, about, now)
    db.execute(
        "INSERT OR IGNORE INTO groups VALUES (?, ?, ?)", (str(uuid.uuid4()), site_id, ALL_USERS)
    )
    return site_id


def _project_path(db: sqlite3.Connection, site_id: str, path: str, owner: str, now: str) -> str:
    """Adds the projects of a path; returns the id of the last one."""
    parent = ""
    for name in path.split("/"):
        parent = _project(db, site_id, parent, name.strip(), owner, "", now)
    return parent


def _project(
    db: sqlite3.Connection, site: str, parent: str, name: str, owner: str, about: str, now: str
) -> str:
    """Adds a project where there is none of that name; returns the id of the one there is."""
    db.execute(
        "INSERT OR IGNORE INTO projects (id, site_id, parent_id, name, name_key, description,"
        " content_permissions, owner_id, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, 'ManagedByOwner', ?, ?, ?)",
        (str(uuid.uuid4()), site, parent, name, name.casefold(), about, owner, now, now),
    )
    found = db.execute(
        "SELECT id FROM projects WHERE site_id = ? AND parent_id = ? AND name_key = ?",
        (site, parent, name.casefold()),
    ).fetchone()
    return str(found["id"])


def _workbook(
    db: sqlite3.Connection, site_id: str, workbook: SeedWorkbook, owner: str, now: str
) -> None:
    workbook_id, content_url = str(uuid.uuid4()), _content_url(workbook.name)
    project_id = _project_path(db, site_id, workbook.project, owner, now)
    if db.execute(
        "SELECT 1 FROM workbooks WHERE site_id = ? AND name = ?", (site_id, workbook.name)
    ).fetchone():
        return
    db.execute("UPDATE sites SET last_number = last_number + 1 WHERE id = ?", (site_id,))
    db.execute(
        "INSERT INTO workbooks SELECT ?, id, last_number, ?, ?, ?, ?, ?, ?, ? FROM sites"
        " WHERE id = ?",
        (
            workbook_id,
            project_id,
            workbook.name,
            content_url,
            workbook.datasource,
            owner,
            now,
            now,
            site_id,
        ),
    )
    kinds = [*(("sheet", name) for name in workbook.sheets)]
    kinds += [("dashboard", name) for name in workbook.dashboards]
    for position, (kind, name) in enumerate(kinds):
        db.execute(
            "INSERT INTO views VALUES (?, ?, ?, ?, ?, ?)",
            (
                str(uuid.uuid4()),
                workbook_id,
                position,
                name,
                f"{content_url}/sheets/{_content_url(name)}",
                kind,
            ),
        )


def _content_url(name: str) -> str:
    return re.sub(r"[^\w-]", "", name) or "unnamed"
