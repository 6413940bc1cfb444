"""What a job does other than its work, where a fault planned it.

Reading a plan belongs here; jobs themselves do not, and neither do the faults that make plans. A
plan is kept with the job's request, so that it outlives a restart and holds in every process. Its
keys, all optional: `polls`, the looks after which the job is complete, None for never;
`finish_code`, with which it ends without its work; `notes`; `error_code` and `text` of a status
note; `purged`, whether it is gone once it is complete.
"""

import json
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from mds_tableau.sandbox import xmlio

KEY = "fault"


def of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a job's plan, empty for nearly all."""
    plan: dict[str, Any] = json.loads(row["request"]).get(KEY, {})
    return plan


def is_due(row: Mapping[str, Any], polls: int, usual: int) -> bool:
    """Returns whether a job is complete after so many looks."""
    needed = of(row).get("polls", usual)
    return needed is not None and polls >= needed


def waits(row: Mapping[str, Any]) -> bool:
    """Returns whether only looks complete a job, and no time."""
    return "polls" in of(row)


def is_purged(row: Mapping[str, Any]) -> bool:
    """Returns whether a job is no longer known, because it is complete."""
    return row["completed_at"] is not None and bool(of(row).get("purged"))


def notes(row: Mapping[str, Any]) -> list[Element]:
    """Returns the notes that a complete job's element holds."""
    plan = of(row) if row["completed_at"] else {}
    return [xmlio.text_element("notes", note) for note in plan.get("notes", ())]


def status_notes(row: Mapping[str, Any]) -> list[Element]:
    """Returns the status notes that a complete job's element holds, in their list."""
    plan = of(row) if row["completed_at"] else {}
    if "error_code" not in plan:
        return []
    note = {"type": "errorCode", "value": plan["error_code"], "text": plan["text"]}
    return [xmlio.element("statusNotes", None, xmlio.element("statusNote", note))]
