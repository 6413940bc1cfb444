"""The list of all kinds of faults.

Only their names belong here; what they do stands in the modules that they come from.
"""

from mds_tableau.sandbox.faults import network, replies, state
from mds_tableau.sandbox.faults.exchange import Fault

KINDS: dict[str, type[Fault]] = {
    kind.kind: kind
    for kind in (
        replies.Status,
        replies.LoginPage,
        replies.BrokenXml,
        replies.Redirect,
        replies.Truncate,
        network.Disconnect,
        network.StaleConnection,
        network.CloseIdle,
        network.Delay,
        network.Hang,
        network.Throttle,
        network.LimitBody,
        state.LimitChunk,
        state.ExpireSession,
        state.SecondSignIn,
        state.LoseUploads,
        state.ListLag,
        state.FailJob,
        state.KeepJobRunning,
        state.PurgeJob,
        state.JobErrorNote,
    )
}
