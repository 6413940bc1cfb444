import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox import Sandbox, faults
from mds_tableau.sandbox.app import operations
from mds_tableau.sandbox.faults.admin import RULE_KEYS
from mds_tableau.sandbox.faults.names import NAMES
from mds_tableau.sandbox.jobs import Jobs

DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"
FAIL = faults.Status(500)


def make(kind: str, **parameters: Any) -> Any:
    """Makes a fault whose parameters may be wrong."""
    fault: Any = faults.KINDS[kind]
    return fault(**parameters)


def statuses(sandbox: Sandbox, count: int) -> list[int]:
    """Asks for the server's version some times; returns the statuses."""
    url = f"{sandbox.url}/api/3.25/serverInfo"
    with requests.Session() as session:
        return [session.get(url, timeout=30).status_code for _ in range(count)]


def struck(sandbox: Sandbox, count: int) -> list[int]:
    """Asks some times; returns which of the requests failed, from 1."""
    return [number for number, status in enumerate(statuses(sandbox, count), 1) if status != 200]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"nth": 3}, [3]),
        ({"first": 3}, [3, 4, 5, 6, 7, 8]),
        ({"first": 2, "last": 4}, [2, 3, 4]),
        ({"every": 3}, [1, 4, 7]),
        ({"first": 2, "last": 7, "every": 2}, [2, 4, 6]),
        ({"probability": 0.0}, []),
        ({"on": ["sign_in", "server_info"], "nth": 1}, [1]),
        ({"on": "sign_in"}, []),
    ],
)
def test_rule_says_which_requests_are_struck(
    faulty: Sandbox, options: dict[str, Any], expected: list[int]
) -> None:
    """The nth, a range, each kth, or none, counted from when the rule was added."""
    statuses(faulty, 2)
    faulty.faults.add(FAIL, **options)
    assert struck(faulty, 8) == expected


def test_chance_is_the_same_with_the_same_seed(faulty: Sandbox) -> None:
    """A rule with a probability strikes some requests, and the same ones each time."""
    seen = []
    for seed in (1, 1, 2):
        rule = faulty.faults.add(FAIL, probability=0.5, seed=seed)
        seen.append(struck(faulty, 30))
        assert faulty.faults.remove(rule)
    assert seen[0] == seen[1] != seen[2]
    assert 5 < len(seen[0]) < 25


def test_records_say_what_struck(faulty: Sandbox) -> None:
    """A record has kind, operation, time and the numbers of rule and request; others have none."""
    assert faulty.faults.applied == ()
    rule = faulty.faults.add(FAIL, nth=2)
    before = faulty.config.clock()
    statuses(faulty, 3)
    [record] = faulty.faults.applied
    assert (record.kind, record.operation, record.rule) == ("status", "server_info", rule.number)
    assert before <= record.time <= faulty.config.clock()
    assert rule.matched == 3
    faulty.faults.clear()
    faulty.faults.add(FAIL, nth=1)
    statuses(faulty, 1)
    assert faulty.faults.applied[0].request == record.request + 2


def test_waiting_for_a_fault(faulty: Sandbox) -> None:
    """`wait` returns once enough faults have struck, or when its time is over."""
    assert not faulty.faults.wait(seconds=0)
    faulty.faults.add(FAIL)
    thread = threading.Thread(target=statuses, args=(faulty, 2))
    thread.start()
    assert faulty.faults.wait(2)
    thread.join()


def test_first_rule_is_the_outermost(faulty: Sandbox) -> None:
    """Where one rule answers, those after it count the request and do nothing."""
    faulty.faults.add(faults.Status(503))
    inner = faulty.faults.add(faults.Status(500))
    assert statuses(faulty, 1) == [503]
    assert [record.rule for record in faulty.faults.applied] == [inner.number - 1]
    assert inner.matched == 1


def test_rules_may_change_while_requests_come(faulty: Sandbox) -> None:
    """Adding and removing from several threads breaks no request."""
    stop, seen = threading.Event(), set()

    def ask() -> None:
        while not stop.is_set():
            seen.update(statuses(faulty, 5))

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(300):
            assert faulty.faults.remove(faulty.faults.add(FAIL))
    finally:
        stop.set()
        for thread in asking:
            thread.join()
    assert seen <= {200, 500}
    assert faulty.faults.rules == ()


@pytest.mark.parametrize(
    ("mistake", "problem"),
    [
        (lambda f: f.add(FAIL, "publish"), "no operation 'publish'. There are server_info, "),
        (lambda f: f.add(FAIL, nth=0), "'first' is 0"),
        (lambda f: f.add(FAIL, every=0), "'every' is 0"),
        (lambda f: f.add(FAIL, probability=1.5), "'probability' is 1.5"),
        (lambda f: f.add(FAIL, seed="a"), "'seed' is 'a'"),
        (lambda f: make("status", status="500"), "its 'status' is '500', and must be int"),
        (lambda f: faults.Status(-1), "its 'status' is -1"),
        (lambda f: make("status", when="later"), "its 'when' is 'later'"),
        (lambda f: faults.Delay(True), "its 'seconds' is True"),
        (lambda f: make("fail_job", notes=("a", 1)), "its 'notes' is"),
        (lambda f: faults.Throttle(0), "Use 'hang' instead"),
    ],
)
def test_rules_that_make_no_sense_are_refused(
    faulty: Sandbox, mistake: Callable[[Any], Any], problem: str
) -> None:
    """Unknown operations and bad numbers are told at once, and nothing is added."""
    with pytest.raises(SandboxError, match=re.escape(problem)):
        mistake(faulty.faults)
    assert faulty.faults.rules == ()


def test_names_are_those_of_operations(faulty: Sandbox) -> None:
    """Each name stands for one operation of the table, and the others go by method and path."""
    table = {f"{m} {path}" for path, methods in operations(Jobs({})).items() for m in methods}
    assert set(NAMES) <= table
    assert len(set(NAMES.values())) == len(NAMES)
    unnamed = table - set(NAMES)
    assert set(faulty.faults.operations) == {*NAMES.values(), *unnamed, "unknown"}
    assert len(faulty.faults.operations) == len(table) + 1


def test_each_name_is_found(
    faulty: Sandbox, client: Callable[..., TSC.Server], publish: Callable[..., Any]
) -> None:
    """What TSC does carries the operations' names."""
    server = client(faulty)
    faulty.faults.add(faults.Delay(0.0))
    item = publish(server, None, "Names")
    server.datasources.get_by_id(item.id)
    server.datasources.get()
    server.datasources.populate_revisions(item)
    assert item.revisions
    server.projects.get()
    server.fileuploads.initiate()
    server.jobs.wait_for_job(publish(server, None, "Names", as_job=True))
    server.datasources.delete(item.id)
    requests.get(f"{faulty.url}/api/3.25/nothing", timeout=30)
    requests.get(f"{faulty.url}/api/3.25/serverinfo", timeout=30)
    server.auth.sign_out()
    assert [record.operation for record in faulty.faults.applied] == [
        "publish_datasource",
        "get_datasource",
        "query_datasources",
        "query_revisions",
        "query_projects",
        "initiate_upload",
        "publish_datasource",
        "query_job",
        "query_job",
        "delete_datasource",
        "unknown",
        "server_info",
        "sign_out",
    ]


def test_page_and_downloads_are_never_struck(faulty: Sandbox) -> None:
    """Faults are the API's; the sandbox's own pages stay to look at what it holds."""
    faulty.faults.add(FAIL)
    assert requests.get(faulty.url, timeout=30).status_code == 200


def test_endpoint_adds_shows_and_removes(faulty: Sandbox) -> None:
    """A rule sent as JSON strikes, is shown with its counts, and goes away again."""
    url = f"{faulty.url}/sandbox/faults"
    given = {"kind": "status", "status": 418, "on": "server_info", "nth": 2}
    added = requests.post(url, json=given, timeout=30)
    assert added.status_code == 201
    number = added.json()["number"]
    assert statuses(faulty, 3) == [200, 418, 200]
    shown = requests.get(url, timeout=30).json()
    [rule] = shown["rules"]
    assert rule == {**rule, "kind": "status", "status": 418, "on": ["server_info"], "matched": 3}
    assert (rule["first"], rule["last"], rule["when"]) == (2, 2, "before")
    [record] = shown["applied"]
    assert (record["kind"], record["operation"], record["rule"]) == (
        "status",
        "server_info",
        number,
    )
    assert requests.delete(f"{url}/{number}", timeout=30).status_code == 204
    assert requests.delete(f"{url}/{number}", timeout=30).status_code == 404
    requests.post(url, json=given, timeout=30)
    assert requests.delete(url, timeout=30).status_code == 204
    assert requests.get(url, timeout=30).json() == {"rules": [], "applied": []}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "a JSON object is expected"),
        ({"kind": "flood"}, "no kind 'flood'. There are status, "),
        ({"kind": ["status"]}, "no kind ['status']"),
        ({"kind": "hang", "seconds": 3}, "'hang' has no seconds. It has when, on, nth"),
        ({"kind": "delay", "seconds": "3"}, "its 'seconds' is '3'"),
        ({"kind": "hang", "on": 3}, "'on' is no name"),
        ({"kind": "hang", "on": [3]}, "no operation 3"),
        ({"kind": "hang", "nth": "1"}, "'first' is '1'"),
    ],
)
def test_endpoint_refuses_what_it_does_not_understand(
    faulty: Sandbox, given: Any, problem: str
) -> None:
    """A mistake is told with what would be right, and adds nothing."""
    response = requests.post(f"{faulty.url}/sandbox/faults", json=given, timeout=30)
    assert response.status_code == 400
    assert problem in response.json()["error"]
    assert faulty.faults.rules == ()


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        # What a proxy on this machine adds for somebody elsewhere.
        ("GET", {"x-forwarded-for": "192.0.2.1"}, 403),
        ("POST", {"x-forwarded-for": "192.0.2.1"}, 403),
        ("DELETE", {"x-forwarded-for": "192.0.2.1"}, 403),
        # What a page on the internet can have a browser send.
        ("GET", {"host": "rebound.example.com"}, 400),
        ("POST", {"content-type": "text/plain"}, 415),
        ("PUT", {}, 405),
    ],
)
def test_endpoint_is_for_this_machine_only(
    faulty: Sandbox, method: str, headers: dict[str, str], status: int
) -> None:
    """Neither others through a proxy nor other people's pages can change faults."""
    faulty.faults.add(FAIL, "sign_in")
    response = requests.request(
        method,
        f"{faulty.url}/sandbox/faults",
        data='{"kind": "hang"}',
        headers={"content-type": "application/json", **headers},
        timeout=30,
    )
    assert response.status_code == status
    assert [rule.fault for rule in faulty.faults.rules] == [FAIL]


def test_endpoint_is_no_part_of_the_api(faulty: Sandbox) -> None:
    """Below /api there is nothing of it, and no fault strikes it."""
    assert requests.get(f"{faulty.url}/api/3.25/sandbox/faults", timeout=30).status_code == 501
    assert requests.get(f"{faulty.url}/sandbox/faultsandmore", timeout=30).status_code == 501
    faulty.faults.add(FAIL)
    assert requests.get(f"{faulty.url}/sandbox/faults", timeout=30).status_code == 200


def test_document_lists_each_kind_with_its_parameters() -> None:
    """The table of docs/faults.md has the kinds, parameters and defaults of the code."""
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.+?) \|$", text, re.MULTILINE)
    listed = {kind: re.findall(r"`([^`]+)`", parameters) for kind, parameters, _, _ in rows}
    expected = {
        kind: [f"{name}={value!r}" for name, value in fault().parameters().items()]
        for kind, fault in faults.KINDS.items()
    }
    assert listed == expected
    for key in RULE_KEYS:
        assert f"`{key}`" in text
    for name in NAMES.values():
        assert f"`{name}`" in text


def test_example_of_the_document_works(faulty: Sandbox) -> None:
    """The rule of the example is accepted."""
    [body] = re.findall(r"-d '(.*?)'", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    response = requests.post(
        f"{faulty.url}/sandbox/faults",
        data=body,
        headers={"content-type": "application/json"},
        timeout=30,
    )
    assert response.status_code == 201, response.text
