"""How tests are shared out among processes, with `pytest -n`.

Which tests stay together and which begin first belong here; the processes are pytest-xdist's.
"""

from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_DOCUMENTS: Final = "tests/e2e/test_documents.py"
_MATRIX: Final = "tests/tableau/test_fault_matrix.py"


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # it brings no types
    """Keeps each file in one process, as fixtures of a module are expensive.

    All files of the sandbox stay together too, as some of their tests look at what all others did;
    documents do not, as each takes long and shares nothing with another.
    Long ones begin first, and the many short cases of the fault matrix come last and one by one,
    so that no process waits long for another at the end.
    """

    def __init__(self, config: pytest.Config, log: Producer | None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by number of tests, which says little here

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path.startswith("tests/sandbox/"):
            return "tests/sandbox"
        return nodeid if path in {_MATRIX, _DOCUMENTS} else path

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=_place), last=False)
        super()._assign_work_unit(node)


def _place(scope: str) -> int:
    if scope.startswith(_MATRIX):
        return 2
    return 0 if scope.startswith("tests/e2e/") else 1
