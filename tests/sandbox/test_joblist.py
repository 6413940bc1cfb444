"""Refreshing, listing jobs and cancelling them."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox
from mds_tableau.sandbox.choices import Choices

Ask = Callable[..., requests.Response]
CodeOf = Callable[[requests.Response], str]
Publish = Callable[..., Any]
NOBODY = "00000000-0000-0000-0000-000000000000"


def test_refresh_of_a_pushed_extract_fails_as_a_job(server: TSC.Server, publish: Publish) -> None:
    """There is nothing to refresh from, and the job's notes say so."""
    item = publish(server, None, uuid.uuid4().hex)
    job: Any = server.datasources.refresh(item)
    assert (job.type, job.datasource_id, job.finish_code) == ("RefreshExtract", item.id, -1)
    with pytest.raises(TSC.JobFailedException, match="no source") as caught:
        server.jobs.wait_for_job(job)
    assert caught.value.job.datasource_name == item.name
    server.datasources.populate_revisions(item)
    assert len(item.revisions) == 1


def test_refresh_is_queued_once(
    server: TSC.Server, publish: Publish, ask: Ask, code_of: CodeOf
) -> None:
    """A second refresh while one waits is 409093, which TSC takes for None."""
    item = publish(server, None, uuid.uuid4().hex)
    path = f"datasources/{item.id}/refresh"
    assert server.datasources.refresh(item) is not None
    assert server.datasources.refresh(item) is None
    for body in ("", "<tsRequest/>", "<tsRequest><extractRefresh/></tsRequest>"):
        assert code_of(ask(server, "POST", path, data=body)) == "409093"
    for body, code in {
        "<tsRequest": "400000",
        "<tsRequest><other/></tsRequest>": "400000",
        '<tsRequest><extractRefresh incremental="x"/></tsRequest>': "400000",
        '<tsRequest><extractRefresh incremental="true"/></tsRequest>': "501000",
    }.items():
        assert code_of(ask(server, "POST", path, data=body)) == code
    assert code_of(ask(server, "POST", f"datasources/{NOBODY}/refresh")) == "404004"


def test_refresh_may_be_chosen_to_succeed(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """Where that was chosen, the job succeeds and changes nothing."""
    with make_sandbox(tmp_path, choices=Choices(refresh_outcome="succeed")) as sandbox:
        server = client(sandbox)
        item = publish(server, None, "A")
        job: Any = server.datasources.refresh(item)
        done = server.jobs.wait_for_job(job)
        assert (done.finish_code, done.notes) == (0, [])
        server.datasources.populate_revisions(item)
        assert len(item.revisions) == 1


def test_jobs_are_listed_and_cancelled(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    code_of: CodeOf,
    ask: Ask,
    tmp_path: Path,
) -> None:
    """A list shows each job's state without moving it on; a cancelled job does nothing any more."""
    with make_sandbox(tmp_path / "data") as sandbox:
        server = client(sandbox)
        item = publish(server, None, "A")
        done = publish(server, None, "B", as_job=True)
        server.jobs.wait_for_job(done)
        failed: Any = server.datasources.refresh(item)
        with pytest.raises(TSC.JobFailedException):
            server.jobs.wait_for_job(failed)
        running = publish(server, None, "C", as_job=True)
        server.jobs.get_by_id(running.id)
        waiting = publish(server, None, "D", as_job=True)
        jobs: Any = server.jobs
        for _ in range(3):
            listed = {job.id: (job.status, job.type) for job in jobs.get()[0]}
        assert listed == {
            done.id: ("Success", "publish_datasource"),
            failed.id: ("Failed", "refresh_extracts"),
            running.id: ("InProgress", "publish_datasource"),
            waiting.id: ("Pending", "publish_datasource"),
        }
        for job in (running, waiting):
            server.jobs.cancel(job.id)
            with pytest.raises(TSC.JobCancelledException):
                server.jobs.wait_for_job(job)
        assert {item.name for item in server.datasources.get()[0]} == {"A", "B"}
        assert len(list((tmp_path / "data" / "files").iterdir())) == 2
        found = server.jobs.filter(status="Cancelled", job_type="publish_datasource")
        assert {job.id for job in found} == {running.id, waiting.id}
        assert len(server.jobs.filter(notes__has="no source")) == 1
        assert code_of(ask(server, "PUT", f"jobs/{done.id}")) == "403091"
        assert code_of(ask(server, "PUT", f"jobs/{NOBODY}")) == "404018"
        assert code_of(ask(server, "GET", "jobs?pageSize=0")) == "400007"
