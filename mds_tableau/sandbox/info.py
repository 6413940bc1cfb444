"""What the server is: its release and the newest API version that it speaks.

The one operation that needs no sign-in belongs here. The build number is in the form of real ones
and stands for no particular build.
"""

from starlette.responses import Response

from mds_tableau.sandbox import xmlio
from mds_tableau.sandbox.calls import Call


def server_info(call: Call) -> Response:
    """Tells release and API version: GET serverInfo."""
    config = call.store.config
    release = config.product_version
    build = f"{release.replace('.', '')}.{release[2:4]}.0101.0000"
    return call.reply(
        xmlio.element(
            "serverInfo",
            None,
            xmlio.text_element("productVersion", f"{release}.0", {"build": build}),
            xmlio.text_element("restApiVersion", config.api_version),
        )
    )
