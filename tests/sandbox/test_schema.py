"""Replies against Tableau's REST schema, where a copy of it is at hand.

The schema is Tableau's and not part of this repository; `TABLEAU_REST_XSD` names a copy. Where it
contradicts what real servers are known to send, it is corrected here before use.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from lxml import etree

from tests.sandbox.conftest import Exchange

SCHEMA = os.environ.get("TABLEAU_REST_XSD", "")

CORRECTIONS = {
    # The schema wants a build number here; servers send what the element's name says, as 3.25.
    "restApiVersion is a version": (
        r'(<xs:simpleType name="restApiVersion">.*?<xs:pattern value=")[^"]*',
        r"\g<1>[0-9]+\\.[0-9]+",
    ),
    # Servers up to 2025.1 leave these three out of serverInfo.
    "prepConductorVersion may be absent": (
        r'(<xs:element name="prepConductorVersion" type="xs:string")/>',
        r'\1 minOccurs="0"/>',
    ),
    # Notes of a job come after what it is about, and only when there are some.
    "notes stand last, where there are any": (
        r'(<xs:complexType name="extractRefreshJobType">\s*<xs:sequence>)\s*'
        r'<xs:element name="notes" type="xs:string"/>(.*?)(</xs:sequence>)',
        r'\1\2<xs:element name="notes" type="xs:string" minOccurs="0"/>\3',
    ),
    # Lists that exist, and that the schema's list of lists lacks.
    "background jobs and groups are listed": (
        r'(<xs:element name="customViews" type="customViewListType"/>)(\s*<xs:element'
        r' name="datasources")',
        r'\1<xs:element name="backgroundJobs" type="backgroundJobListType"/>\2',
    ),
    "platform and serverSettings may be absent": (
        r'(name="platform" type="xs:string")(/>\s*<xs:element name="serverSettings"[^/]*)/>',
        r'\1 minOccurs="0"\2 minOccurs="0"/>',
    ),
}


def corrected(text: str) -> str:
    """Returns the schema's text with the corrections."""
    for reason, (pattern, replacement) in CORRECTIONS.items():
        text, count = re.subn(pattern, replacement, text, flags=re.DOTALL)
        assert count == 1, f"The correction '{reason}' does not fit this schema."
    return text


@pytest.mark.skipif(not SCHEMA, reason="TABLEAU_REST_XSD does not name Tableau's REST schema")
def test_replies_of_this_run_are_valid(
    exchanges: list[Exchange],
    api: Callable[..., requests.Response],
    server: TSC.Server,
    publish: Callable[..., Any],
) -> None:
    """Every XML reply of the run so far, and one of each kind at least, fulfils the schema."""
    item = publish(server, None, "For the schema", description="<&>")
    job = publish(server, None, "For the schema", as_job=True)
    server.jobs.wait_for_job(job)
    server.fileuploads.initiate()
    server.projects.create(TSC.ProjectItem("For the schema"))
    for path in ("/serverInfo", "projects", "datasources", f"datasources/{item.id}/revisions"):
        assert api("GET", path).status_code == 200
    assert api("GET", "nothing").status_code == 501
    assert api("POST", "/auth/signin").status_code == 400

    text = corrected(Path(SCHEMA).read_text(encoding="utf-8"))
    schema = etree.XMLSchema(etree.fromstring(text.encode()))
    problems = {
        f"{one.method} {one.path}: {schema.error_log.last_error}: {one.body.decode()}"
        for one in exchanges
        if one.body and not schema.validate(etree.fromstring(one.body))
    }
    assert sorted(problems) == []
    assert len(exchanges) > 10
