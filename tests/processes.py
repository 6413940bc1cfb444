"""How tests are shared out among processes, with `pytest -n`.

Which tests stay together and which begin first belong here; the processes are pytest-xdist's.
"""

from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

_LONGEST_FIRST: Final = ("tests/e2e/", "tests/sandbox", "tests/tableau/test_fault_matrix.py")
"""Where long tests stand, so that at the end no process waits long for another."""


class Sharing(LoadScopeScheduling):
    """Keeps each file in one process, as fixtures of a module are expensive.

    All files of the sandbox stay together too, as some of their tests look at what all others did;
    the cases of the fault matrix are many, share little, and fill up.
    """

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by number of tests, which says little here

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path.startswith("tests/sandbox/"):
            return "tests/sandbox"
        return nodeid if path == "tests/tableau/test_fault_matrix.py" else path

    def _assign_work_unit(self, node: object) -> None:
        ranks = {scope: _rank(scope) for scope in self.workqueue}
        self.workqueue.move_to_end(min(ranks, key=ranks.__getitem__), last=False)
        super()._assign_work_unit(node)


def _rank(scope: str) -> int:
    matching = (rank for rank, start in enumerate(_LONGEST_FIRST) if scope.startswith(start))
    return next(matching, len(_LONGEST_FIRST))
