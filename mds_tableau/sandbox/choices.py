"""What no evidence settles: one setting for each such question, with the sandbox's default.

A question that a real server certainly answers, and whose answer nobody could show, belongs here; a
rule that is documented or measured does not. `COVERAGE.md` lists these fields with their defaults,
so that nobody takes a default for Tableau's behaviour.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

RESETTABLE = frozenset({"tags", "certification", "owner", "connections"})
OUTCOMES = frozenset({"fail", "succeed"})
OPPOSITES = frozenset({"refuse", "change"})


def _choice(default: Any, question: str) -> Any:
    return field(default=default, metadata={"question": question})


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The sandbox's answers; each field's question stands in its metadata."""

    overwrite_erases_description: bool = _choice(
        True, "Whether Overwrite without a description erases the one that is there."
    )
    overwrite_resets: tuple[str, ...] = _choice(
        (),
        "What Overwrite takes away, of `tags`, `certification` (with its note), `owner` and"
        " `connections` (what was set for them).",
    )
    offers_replace: bool = _choice(
        True, "Whether Replace is known; otherwise it is a publish without the overwrite flag."
    )
    replace_creates: bool = _choice(
        True, "Whether Replace makes a data source that is not there; otherwise 404004."
    )
    failed_job_notes: bool = _choice(
        False,
        "Whether a publishing job that failed says why in `<notes>`, for which the published schema"
        " has no place.",
    )
    refresh_outcome: str = _choice(
        "fail", "How refreshing a pushed extract ends: `fail` or `succeed` (which changes nothing)."
    )
    opposite_permission: str = _choice(
        "refuse",
        "What happens when a rule is added whose opposite is there: `refuse` (400009) or `change`.",
    )
    locked_permissions_code: int = _choice(
        403004, "The code for adding a rule to an item in a project with locked permissions."
    )
    newest_file_version: int | None = _choice(
        None,
        "The newest version of Hyper's file format that is taken; None: that of the product"
        " version, as far as known.",
    )
    datasource_type: str = _choice("hyper", "The `type` of a published extract.")
    connection_type: str = _choice("hyper", "The `type` of a published extract's connection.")
    content_url_suffix: str = _choice(
        "_{number}", "What is added to a contentUrl that the site has already."
    )
    bad_filter_code: int = _choice(
        400065, "The code for a filter with an unknown field, an unknown operator or a bad value."
    )
    missing_scope_code: int = _choice(
        401002, "The code for a call that a JWT's scopes do not allow."
    )
    other_site_code: int = _choice(404000, "The code for using one site's session on another site.")
    jwt_error_numbers: bool = _choice(
        True, "Whether the detail of a refused JWT names Tableau's error number."
    )
    upload_append_status: int = _choice(200, "The HTTP status of appending to a file upload.")
    token_days: int | None = _choice(
        None, "After how many days a personal access token ends, used or not; None: never."
    )
    unused_token_days: int | None = _choice(
        None, "After how many days without a sign-in a token ends (documented: 15); None: never."
    )

    def problems(self) -> Iterator[str]:
        """Yields what is wrong with the values."""
        for name in sorted(set(self.overwrite_resets) - RESETTABLE):
            yield f"overwrite_resets names {name!r}; {', '.join(sorted(RESETTABLE))} are allowed."
        for name, value, allowed in (
            ("refresh_outcome", self.refresh_outcome, OUTCOMES),
            ("opposite_permission", self.opposite_permission, OPPOSITES),
        ):
            if value not in allowed:
                yield f"{name} is {value!r}; {' and '.join(sorted(allowed))} are allowed."
        if "{number}" not in self.content_url_suffix:
            yield "content_url_suffix has no {number} in it."


def listed() -> list[tuple[str, str, str]]:
    """Returns name, default and question of each choice, as COVERAGE.md lists them."""
    return [(one.name, repr(one.default), one.metadata["question"]) for one in fields(Choices)]
