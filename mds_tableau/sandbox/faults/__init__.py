"""Faults on demand: the sandbox misbehaves as a real server and its gateways sometimes do.

What can go wrong belongs here, one class per kind, with the rules that say when; how the sandbox
works when nothing goes wrong does not. `docs/faults.md` lists the kinds.
"""

from mds_tableau.sandbox.faults.exchange import Fault
from mds_tableau.sandbox.faults.kinds import KINDS
from mds_tableau.sandbox.faults.network import (
    CloseIdle,
    Delay,
    Disconnect,
    Hang,
    LimitBody,
    StaleConnection,
    Throttle,
)
from mds_tableau.sandbox.faults.replies import BrokenXml, LoginPage, Redirect, Status, Truncate
from mds_tableau.sandbox.faults.rules import Applied, Faults, Rule
from mds_tableau.sandbox.faults.state import (
    ExpireSession,
    FailJob,
    JobErrorNote,
    KeepJobRunning,
    LimitChunk,
    ListLag,
    LoseUploads,
    PurgeJob,
    SecondSignIn,
)

__all__ = [
    "KINDS",
    "Applied",
    "BrokenXml",
    "CloseIdle",
    "Delay",
    "Disconnect",
    "ExpireSession",
    "FailJob",
    "Fault",
    "Faults",
    "Hang",
    "JobErrorNote",
    "KeepJobRunning",
    "LimitBody",
    "LimitChunk",
    "ListLag",
    "LoginPage",
    "LoseUploads",
    "PurgeJob",
    "Redirect",
    "Rule",
    "SecondSignIn",
    "StaleConnection",
    "Status",
    "Throttle",
    "Truncate",
]
