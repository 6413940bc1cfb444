"""A local stand-in for Tableau Server's REST API, for trying things and for tests.

What publishing needs of the API belongs here, with what it received kept on disk; the real server's
other operations do not, and are refused by name. `COVERAGE.md` beside this file lists what is
implemented, how each piece was checked and what had to be chosen without evidence.
"""

from mds_tableau.sandbox.config import SandboxConfig
from mds_tableau.sandbox.server import Sandbox

__all__ = ["Sandbox", "SandboxConfig"]
