"""The `notify` command, against local services."""

from click.testing import CliRunner

from mds_tableau.cli import main
from tests.alerts.catchers import http_catcher, unused_port


def test_each_service_is_tested_and_told_apart() -> None:
    """One line for each, exit code 1 when one is down, and no secret anywhere."""
    dead = f"json://bob:hushhush@127.0.0.1:{unused_port()}/?+X-Key=verysecret"
    with http_catcher() as hook:
        environment = {"MDS_NOTIFY": f"{hook.url}, {dead}", "MDS_TIMEZONE": "Asia/Tokyo"}
        both = CliRunner().invoke(main, ["notify"], env=environment)
        alone = CliRunner().invoke(main, ["notify"], env={"MDS_NOTIFY": hook.url})
        lines = both.stdout.splitlines()
        assert lines[0] == f"ok   {hook.name}"
        assert lines[1].startswith("fail JSON (json://127.0.0.1:")
        assert both.stderr.startswith("1 of 2 did not take it. Look at its URL in MDS_NOTIFY, ")
        assert (both.exit_code, alone.exit_code) == (1, 0)
        assert hook.titles() == ["TEST of mds_tableau"] * 2
        assert " Asia/Tokyo) by `mds-tableau notify`." in hook.caught[0]["message"]
    assert "hushhush" not in both.output
    assert "verysecret" not in both.output


def test_without_services_it_says_what_to_do() -> None:
    """Nobody to tell is an error with an example."""
    done = CliRunner().invoke(main, ["notify"], env={"MDS_NOTIFY": ""})
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: MDS_NOTIFY is not set, so alerts go to nobody. Set it to")


def test_a_url_that_is_none_is_an_error_without_the_url() -> None:
    """What apprise does not take is told by its number."""
    done = CliRunner().invoke(main, ["notify"], env={"MDS_NOTIFY": "hush://bob:hushhush@host"})
    assert done.exit_code == 1
    assert "MDS_NOTIFY: URL 1 of 1 has a scheme:// that apprise does not know" in done.stderr
    assert "hushhush" not in done.output
