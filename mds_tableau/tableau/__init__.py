"""Signs in to Tableau Server, finds the project and publishes extracts, by tableauserverclient.

The only package that imports the client; it is used as released, over HTTP, whether the server is
real or the sandbox. Making extracts and knowing Dagster do not belong here.
"""

from mds_tableau.tableau.credentials import ConnectedApp, Credentials, Password, Token
from mds_tableau.tableau.keeping import About
from mds_tableau.tableau.modes import Earlier, refuse_other_columns
from mds_tableau.tableau.patience import Patience
from mds_tableau.tableau.publish import Published, publish, still_holds
from mds_tableau.tableau.route import Route
from mds_tableau.tableau.session import Project, Session, sign_in
from mds_tableau.tableau.uploads import Uploads, uploading

__all__ = [
    "About",
    "ConnectedApp",
    "Credentials",
    "Earlier",
    "Password",
    "Patience",
    "Project",
    "Published",
    "Route",
    "Session",
    "Token",
    "Uploads",
    "publish",
    "refuse_other_columns",
    "sign_in",
    "still_holds",
    "uploading",
]
