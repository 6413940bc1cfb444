"""dbt's own command line, with a quicker start and end.

Installed as `mds-tableau-dbt` for the pipeline's own use. It is dbt as it is installed, with the
same arguments and the same exit code; what it does is dbt's business.
"""

import atexit
import gc
import os
import sys
import traceback


def main() -> None:
    """Run dbt with the arguments of this process, and end it.

    Looking for garbage among all that dbt imports and parses, all of which stays until the end,
    and once more in all of it at the end, takes a quarter of the time of a small project's build.
    """
    gc.disable()
    from dbt.cli.main import cli

    gc.freeze()
    gc.enable()
    gc.set_threshold(100_000, 20, 20)
    code = 1
    try:
        cli()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001  # the interpreter would print it, if it came to its end
        traceback.print_exc()
    finally:
        # what closes the database and writes the logs; only the interpreter's own end is left out
        atexit._run_exitfuncs()  # noqa: SLF001  # there is no other name for it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
