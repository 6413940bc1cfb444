import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from defusedxml.ElementTree import fromstring

from mds_tableau.sandbox import Sandbox

Publish = Callable[..., Any]


def poll(api: Callable[..., requests.Response], job_id: str) -> Any:
    """Looks at a job once."""
    return fromstring(api("GET", f"jobs/{job_id}").content)[0]


def test_client_waits_for_a_publishing_job(
    server: TSC.Server,
    project: TSC.ProjectItem,
    publish: Publish,
    extract: Callable[..., Path],
    stored: Callable[[str | None], bytes],
) -> None:
    """TSC's wait ends in success, and the data source has the content that was sent."""
    path = extract()
    job = publish(server, project.id, "By job", path=path, as_job=True)
    assert (job.type, job.completed_at, job.finish_code) == ("PublishDatasource", None, -1)
    done = server.jobs.wait_for_job(job)
    assert (done.finish_code, done.progress) == (0, "100")
    times = [done.created_at, done.started_at, done.completed_at]
    assert sorted(time for time in times if time) == times
    [item] = server.datasources.filter(name="By job", project_name=project.name)
    assert stored(item.id) == path.read_bytes()


def test_old_content_is_served_until_the_job_is_complete(
    server: TSC.Server,
    api: Callable[..., requests.Response],
    publish: Publish,
    extract: Callable[..., Path],
    stored: Callable[[str | None], bytes],
) -> None:
    """A job moves on with each look at it, and its content appears at the last one at once."""
    name, path = uuid.uuid4().hex, extract()
    item = publish(server, None, name)
    before = stored(item.id)
    job = publish(server, None, name, path=path, as_job=True)
    assert stored(item.id) == before
    running = poll(api, job.id)
    assert (running.get("progress"), running.get("finishCode")) == ("50", None)
    assert running.get("completedAt") is None
    assert stored(item.id) == before
    done = poll(api, job.id)
    assert (done.get("finishCode"), done.get("progress")) == ("0", "100")
    assert stored(item.id) == path.read_bytes()
    again = poll(api, job.id)
    assert dict(again.attrib) == dict(done.attrib)
    server.datasources.populate_revisions(item)
    assert len(item.revisions) == 2


def test_content_that_is_no_extract_fails_the_job(
    server: TSC.Server,
    project: TSC.ProjectItem,
    publish: Publish,
    sandbox: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a synchronous publish refuses with 400011 is a failed job without notes."""
    before = set((sandbox.config.data_dir / "files").iterdir())
    path = tmp_path / "bad.hyper"
    path.write_bytes(b"not an extract")
    job = publish(server, project.id, "Bad", path=path, as_job=True)
    with pytest.raises(TSC.JobFailedException) as caught:
        server.jobs.wait_for_job(job)
    assert (caught.value.job.finish_code, caught.value.notes) == (1, [])
    assert "400011" in caplog.text
    assert list(server.datasources.filter(project_name=project.name)) == []
    assert set((sandbox.config.data_dir / "files").iterdir()) <= before


def test_conflict_that_came_up_since_fails_the_job(
    server: TSC.Server,
    project: TSC.ProjectItem,
    publish: Publish,
    stored: Callable[[str | None], bytes],
) -> None:
    """Of two that create one name, the job that completes second fails."""
    job = publish(server, project.id, "A", "CreateNew", as_job=True)
    item = publish(server, project.id, "A", "CreateNew")
    before = stored(item.id)
    with pytest.raises(TSC.JobFailedException):
        server.jobs.wait_for_job(job)
    assert stored(item.id) == before


def test_jobs_that_nobody_looks_at_complete_too(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """After half a minute a job is complete without a look at it."""
    now = 1_800_000_000.0
    with make_sandbox(tmp_path / "data", clock=lambda: now) as sandbox:
        server = client(sandbox)
        job = publish(server, None, "Forgotten", as_job=True)
        assert server.datasources.get()[1].total_available == 0
        now += 31
        assert [item.name for item in server.datasources.get()[0]] == ["Forgotten"]
        assert server.jobs.get_by_id(job.id).finish_code == 0


def test_number_of_looks_can_be_chosen(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """A job is complete at the look that the configuration says, also across a restart."""
    with make_sandbox(tmp_path / "data", job_polls=3) as sandbox:
        server = client(sandbox)
        job = publish(server, None, "A", as_job=True)
        assert [server.jobs.get_by_id(job.id).finish_code for _ in range(2)] == [-1, -1]
    with make_sandbox(tmp_path / "data", job_polls=3) as sandbox:
        assert client(sandbox).jobs.get_by_id(job.id).finish_code == 0


def test_unknown_job_is_404018(server: TSC.Server) -> None:
    """A job that does not exist is not found."""
    with pytest.raises(TSC.ServerResponseError, match="404018"):
        server.jobs.get_by_id("00000000-0000-0000-0000-000000000000")


def test_job_of_the_other_site_is_not_found(
    server: TSC.Server, sandbox: Sandbox, client: Callable[..., TSC.Server], publish: Publish
) -> None:
    """A job's id means nothing on another site."""
    job = publish(client(sandbox, site="Acme"), None, uuid.uuid4().hex, as_job=True)
    with pytest.raises(TSC.ServerResponseError, match="404018"):
        server.jobs.get_by_id(job.id)
