"""dbt's own command line, with a quicker start and end.

Installed as `mds-tableau-dbt` for the pipeline's own use. It is dbt as it is installed, with the
same arguments and the same exit code; what it does is dbt's business.
"""

import atexit
import contextlib
import gc
import os
import sys
import threading
import time
import traceback
from typing import Final

_LOOK_SECONDS: Final = 0.5


def main() -> None:
    """Run dbt with the arguments of this process, and end it; it ends early if its parent does.

    Looking for garbage among all that dbt imports and parses, all of which stays until the end,
    and once more in all of it at the end, takes a quarter of the time of a small project's build.
    """
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
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


def _end_with(parent: int) -> None:
    """End when the run does: killed, it would leave a build that goes on holding the warehouse.

    DuckDB undoes what was not committed when the file is opened next.
    """
    if sys.platform == "win32":
        import psutil

        with contextlib.suppress(psutil.Error):
            psutil.Process(parent).wait()
    else:
        # whoever loses his parent gets another one, at once
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
    os._exit(1)
