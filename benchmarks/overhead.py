"""Measures what the orchestrator costs: our whole job, a bare script, and Dagster's default.

All three build the same small dbt project, write Parquet and Hyper, and publish to the same sandbox
over HTTP; after each of them the sandbox is asked whether every datasource has a new revision with
the right number of rows. Nothing is decided by the figures: the exit code says only whether all
variants worked.
"""

import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import tableauserverclient as TSC  # noqa: N812  # the name that its documentation uses
from tableauhyperapi import Connection, HyperProcess, Telemetry

from benchmarks.project import MARTS, ROWS, write_project
from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.settings import TELEMETRY_OFF, child_environment

REPETITIONS: Final = 3
WHOLE_TO_BARE: Final = 2.0
DEFAULT_TO_WHOLE: Final = 4.0

_ROOT: Final = Path(__file__).resolve().parent.parent
_USER: Final = "benchmark"
_TIMEOUT_SECONDS: Final = 1200
_TAIL: Final = 40
_DROPPED: Final = ("TABLEAU_", "MDS_", "DBT_", "DAGSTER_", "PYTHONDONTWRITEBYTECODE")
_STAGES: Final = {
    "dbt": "dbt build, with dbt's own start",
    "parquet": "export to Parquet",
    "hyper": "convert to Hyper",
    "tableau": "publish",
}


class BenchmarkError(Exception):
    """A variant failed, or the server does not hold what it should."""


@dataclass(frozen=True)
class Bench:
    """The place where everything happens: one folder, and one server for all variants.

    Attributes:
        folder: The temporary folder.
        server: URL of the sandbox.
        password: Password of its user; a token would allow one session at a time only.
        hyper: A Hyper process that counts the rows of what was published.
    """

    folder: Path
    server: str
    password: str
    hyper: HyperProcess

    def environment(self, variant: str) -> dict[str, str]:
        """Return the environment of a variant: nothing of the caller's settings, no telemetry."""
        data = self.folder / variant / "data"
        clean = {k: v for k, v in child_environment().items() if not k.startswith(_DROPPED)}
        return {
            **clean,
            **TELEMETRY_OFF,
            "PYTHONPATH": str(_ROOT),
            "NO_PROXY": "127.0.0.1",
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "MDS_DATA_DIR": str(data),
            # a script does everything each time, whatever has changed
            "MDS_FORCE": "true",
            "MDS_WAREHOUSE": (data / "warehouse.duckdb").as_posix(),
            "MDS_DBT_PROJECT": str(self.project(variant)),
            "TABLEAU_SERVER": self.server,
            "TABLEAU_USERNAME": _USER,
            "TABLEAU_PASSWORD": self.password,
        }

    def project(self, variant: str) -> Path:
        """Return the variant's own copy of the dbt project."""
        return self.folder / variant / "dbt_project"

    def prepare(self, variant: str) -> None:
        """Write the variant's copy of the dbt project, and its empty folder for data."""
        write_project(self.project(variant))
        (self.folder / variant / "data").mkdir()

    @contextmanager
    def client(self) -> Iterator[TSC.Server]:
        """Sign in to the server, for looking only."""
        client = TSC.Server(self.server, use_server_version=True)
        with client.auth.sign_in(TSC.TableauAuth(_USER, self.password)):
            yield client

    def revisions(self) -> dict[str, int]:
        """Return the newest revision of each datasource on the server."""
        found = {}
        with self.client() as client:
            for item in TSC.Pager(client.datasources):
                client.datasources.populate_revisions(item)
                found[str(item.name)] = max(int(str(r.revision_number)) for r in item.revisions)
        return found

    def verify(self, before: Mapping[str, int]) -> None:
        """Check that since `before` every mart was published once, with all of its rows.

        Raises:
            BenchmarkError: Something is missing, was published more than once, or has other rows.
        """
        after = self.revisions()
        wanted = {mart: before.get(mart, 0) + 1 for mart in MARTS}
        if after != wanted:
            raise BenchmarkError(f"The server holds revisions {after}, not {wanted}.")
        with self.client() as client:
            for item in TSC.Pager(client.datasources):
                rows = self._rows(client, str(item.id))
                if rows != ROWS:
                    raise BenchmarkError(f"'{item.name}' has {rows} rows on the server.")

    def _rows(self, client: TSC.Server, datasource_id: str) -> object:
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
            package = client.datasources.download(datasource_id, str(Path(folder, "datasource")))
            with zipfile.ZipFile(str(package)) as content:
                [name] = [name for name in content.namelist() if name.endswith(".hyper")]
                extract = content.extract(name, folder)
            with Connection(self.hyper.endpoint, extract) as connection:
                return connection.execute_scalar_query('SELECT COUNT(*) FROM "Extract"."Extract"')


@dataclass(frozen=True)
class Variant:
    """One way to do the work.

    Attributes:
        name: Names its folder and its line in the table.
        says: What it is, for the reader.
        command: Command line of a fresh process.
    """

    name: str
    says: str
    command: Sequence[str]


@dataclass(frozen=True)
class Run:
    """One repetition: its wall time, and its output with the second at which each line came."""

    seconds: float
    lines: Sequence[tuple[float, str]]


def variants(bench: Bench) -> tuple[Variant, Variant, Variant]:
    """Return our whole job, the bare script, and the default executor."""
    dagster = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*", "-m"]
    folder = bench.folder / "bare"
    data = folder / "data"
    arguments = [bench.project("bare"), data / "warehouse.duckdb", data]
    sign_in = [bench.server, _USER, bench.password]
    return (
        Variant("whole", "our job, in one process", [*dagster, "mds_tableau.definitions"]),
        Variant(
            "bare",
            "a script, no orchestrator",
            [sys.executable, str(_ROOT / "benchmarks/bare.py"), *map(str, arguments), *sign_in],
        ),
        Variant(
            "default",
            "our assets, multiprocess executor",
            [*dagster, "benchmarks.default_executor"],
        ),
    )


def run(bench: Bench, variant: Variant) -> Run:
    """Run a variant in a fresh process, and verify what came of it outside of the measured time.

    Raises:
        BenchmarkError: It failed, or it did not do the work.
    """
    before = bench.revisions()
    taken = _execute(bench, variant)
    try:
        bench.verify(before)
    except BenchmarkError as error:
        raise _failure(variant, taken.lines, error) from error
    return taken


def _execute(bench: Bench, variant: Variant) -> Run:
    lines: list[tuple[float, str]] = []
    started = time.perf_counter()
    with subprocess.Popen(
        variant.command,
        env=bench.environment(variant.name),
        cwd=bench.folder / variant.name,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None  # noqa: S101  # asked for just above
        alarm = threading.Timer(_TIMEOUT_SECONDS, process.kill)
        alarm.start()
        for line in process.stdout:
            lines.append((time.perf_counter() - started, line.rstrip()))  # noqa: PERF401
        code = process.wait()
        alarm.cancel()
    seconds = time.perf_counter() - started
    if code:
        raise _failure(variant, lines, f"it ended with exit code {code}")
    return Run(seconds, lines)


def _failure(variant: Variant, lines: Sequence[tuple[float, str]], why: object) -> BenchmarkError:
    tail = "\n".join(text for _, text in lines[-_TAIL:])
    return BenchmarkError(f"{tail}\n\nVariant '{variant.name}' failed: {why}")


def breakdown(measured: Run) -> dict[str, float]:
    """Return where our job spent its seconds, as far as Dagster's log tells."""
    spent: defaultdict[str, float] = defaultdict(float)
    steps = [at for at, text in measured.lines if " - STEP_START - " in text]
    ends = [at for at, text in measured.lines if " - STEP_SUCCESS - " in text]
    begun: dict[str, float] = {}
    for at, text in measured.lines:
        parts = text.split(" - ")
        for kind in ("STEP_START", "STEP_SUCCESS"):
            if kind not in parts:
                continue
            step = parts[parts.index(kind) - 1].strip()
            stage = step.partition("__")[0]
            if kind == "STEP_START":
                begun[step] = at
            else:
                spent[_STAGES.get(stage, "other steps")] += at - begun[step]
    steps_seconds = sum(spent.values())
    return {
        "Python, imports, definitions, run set-up": steps[0],
        **spent,
        "between the steps": ends[-1] - steps[0] - steps_seconds,
        "end of the run": measured.seconds - ends[-1],
    }


def report(taken: Mapping[str, Sequence[Run]], ways: Sequence[Variant]) -> None:
    """Print the figures of this run; the last line is the one that other tools read."""
    medians = {name: median(r.seconds for r in runs) for name, runs in taken.items()}
    print(f"\n{'variant':9}{'what it is':36}{'median s':>9}   each repetition")
    for way in ways:
        each = "  ".join(f"{r.seconds:.2f}" for r in taken[way.name])
        print(f"{way.name:9}{way.says:36}{medians[way.name]:9.2f}   {each}")
    print("\nWhere the median run of `whole` spent its seconds:")
    middle = min(taken["whole"], key=lambda r: abs(r.seconds - medians["whole"]))
    for name, seconds in breakdown(middle).items():
        print(f"  {name:42}{seconds:7.2f}")
    slower = medians["whole"] / medians["bare"]
    faster = medians["default"] / medians["whole"]
    print(
        f"\nwhole/bare at most {WHOLE_TO_BARE}: {'met' if slower <= WHOLE_TO_BARE else 'MISSED'}; "
        f"default/whole at least {DEFAULT_TO_WHOLE}: "
        f"{'met' if faster >= DEFAULT_TO_WHOLE else 'MISSED'}"
    )
    print(f"whole/bare {slower:.2f} default/whole {faster:.2f}")


def measure(bench: Bench) -> tuple[dict[str, list[Run]], Sequence[Variant]]:
    """Run everything: first unmeasured, then the two short variants in turn, then the long one."""
    whole, bare, default = ways = variants(bench)
    for way in ways:
        bench.prepare(way.name)
    home = Path(bench.environment("whole")["DAGSTER_HOME"])
    home.mkdir()
    shutil.copy(_ROOT / "data/dagster/dagster.yaml", home)
    for way in (whole, bare):
        _say(f"{way.name}: once, not measured")
        run(bench, way)
    _say("default: dbt parse, not measured")
    parse = [sys.executable, "-m", "dagster", "definitions", "validate", "-m"]
    _execute(bench, Variant("default", "", [*parse, "benchmarks.default_executor"]))
    taken: dict[str, list[Run]] = {way.name: [] for way in ways}
    for repetition in range(REPETITIONS):
        for way in (whole, bare):
            taken[way.name].append(run(bench, way))
            _say(f"{way.name} {repetition + 1}: {taken[way.name][-1].seconds:.2f} s")
    _say("default: once; this takes minutes")
    taken["default"].append(run(bench, default))
    return taken, ways


def main() -> int:
    """Measure, print, and return the exit code: 1 when a variant failed, else 0."""
    password = secrets.token_urlsafe(24)
    print(
        f"{len(MARTS)} marts of {ROWS:,} rows, all to one sandbox. Each repetition is a fresh "
        "process, timed from its\nstart to its end. Before the first one, `whole` and `bare` ran "
        "once and `default` parsed the project, so that\ndbt's parse, Dagster's database, "
        "bytecode and disk cache are as warm as on any day but the first.",
        flush=True,
    )
    with (
        tempfile.TemporaryDirectory(prefix="overhead-", ignore_cleanup_errors=True) as name,
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
        ) as hyper,
    ):
        folder = Path(name).resolve()
        config = SandboxConfig(data_dir=folder / "sandbox", users={_USER: password})
        try:
            with Sandbox(config) as sandbox:
                taken, ways = measure(Bench(folder, sandbox.url, password, hyper))
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    report(taken, ways)
    return 0


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
