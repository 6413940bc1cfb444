"""Writes the throw-away dbt project that the benchmark builds: small marts, two tests each.

What is measured does not belong here; the number of marts and rows does, because whoever checks a
result must know them.
"""

from pathlib import Path
from typing import Final

MARTS: Final = tuple(f"mart_{number:02}" for number in range(1, 11))
"""Names of the marts."""

ROWS: Final = 1_000
"""Rows of each mart."""

_PROJECT: Final = """\
name: overhead
version: "1.0.0"
config-version: 2
profile: overhead
model-paths: [models]
flags:
  send_anonymous_usage_stats: false
models:
  overhead:
    +materialized: table
"""

_PROFILES: Final = """\
overhead:
  target: duckdb
  outputs:
    duckdb:
      type: duckdb
      path: "{{ env_var('MDS_WAREHOUSE') }}"
      threads: 2
"""

_MODEL: Final = """\
select
    i::bigint as id,
    'customer ' || (i % 97) as customer,
    (i * 7 + @number@)::integer as quantity,
    (i * 1.25)::decimal(12, 2) as amount,
    i / 7.0::double as share,
    date '2026-01-01' + (i % 365)::integer as sold_on,
    timestamp '2026-01-01 08:00:00' + to_minutes(i) as sold_at,
    i % 3 = 0 as is_online
from range(@rows@) as numbers (i)
"""

_TESTS: Final = """\
models:
  - name: @name@
    columns:
      - name: id
        data_tests: [unique, not_null]
"""


def write_project(folder: Path) -> None:
    """Write the dbt project and its profile; dbt reads its database's path from MDS_WAREHOUSE."""
    marts = folder / "models" / "marts"
    marts.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(_PROJECT, encoding="utf-8")
    (folder / "profiles.yml").write_text(_PROFILES, encoding="utf-8")
    for number, name in enumerate(MARTS):
        model = _MODEL.replace("@number@", str(number)).replace("@rows@", str(ROWS))
        (marts / f"{name}.sql").write_text(model, encoding="utf-8")
        tests = _TESTS.replace("@name@", name)
        (marts / f"{name}.yml").write_text(tests, encoding="utf-8")
