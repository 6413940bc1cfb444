"""dbt's own command line, started with less looking for garbage.

Installed as `mds-tableau-dbt` for the pipeline's own use. It is dbt as it is installed, with the
same arguments; what it does is dbt's business.
"""

import gc


def main() -> None:
    """Run dbt with the arguments of this process."""
    # an eighth of the time of a small project's build goes into looking through what dbt imports
    # and parses, all of which stays until it ends
    gc.disable()
    from dbt.cli.main import cli

    gc.freeze()
    gc.enable()
    gc.set_threshold(100_000, 20, 20)
    try:
        cli()
    finally:
        gc.freeze()
