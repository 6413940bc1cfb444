"""XML in and out: reading requests safely and writing namespaced replies.

The envelope, the safe parser and attribute conversion belong here; what any one operation reads or
writes does not. Requests come bare (as Tableau's Python client sends them) or in Tableau's
namespace; replies always have it, because clients find nothing in a reply without.
"""

import re
from collections.abc import Collection, Mapping
from xml.etree import ElementTree as ET

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from starlette.responses import Response

from mds_tableau.sandbox.errors import ApiError, bad_request, not_implemented
from mds_tableau.sandbox.filters import Page

NAMESPACE = "http://tableau.com/api"
MALFORMED = "Payload is either malformed XML/JSON or incomplete"

# What XML 1.0 cannot hold in any spelling; a request's path may contain it.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Value = str | int | bool | None


def element(
    tag: str, attributes: Mapping[str, Value] | None = None, *children: ET.Element
) -> ET.Element:
    """Returns an element; attributes that are None are left out and booleans are lower-case."""
    made = ET.Element(tag)
    for name, value in (attributes or {}).items():
        if value is not None:
            made.set(name, printable(str(value).lower() if isinstance(value, bool) else str(value)))
    made.extend(children)
    return made


def text_element(tag: str, text: str, attributes: Mapping[str, Value] | None = None) -> ET.Element:
    """Returns an element that holds only text."""
    made = element(tag, attributes)
    made.text = printable(text)
    return made


def pagination(page: Page) -> ET.Element:
    """Returns what a list's reply begins with."""
    return element(
        "pagination",
        {"pageNumber": page.number, "pageSize": page.size, "totalAvailable": page.total},
    )


def printable(text: str) -> str:
    """Returns the text with each character that XML cannot hold replaced."""
    return _NOT_XML.sub("\ufffd", text)


def reply(
    *children: ET.Element, status: int = 200, api_version: tuple[int, int] = (3, 25)
) -> Response:
    """Returns an HTTP response with the children in Tableau's envelope."""
    schema = "https://help.tableau.com/samples/en-us/rest_api/ts-api_{}_{}.xsd".format(*api_version)
    envelope = ET.Element(
        "tsResponse",
        {
            "xmlns": NAMESPACE,
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": f"{NAMESPACE} {schema}",
        },
    )
    envelope.extend(children)
    body = ET.tostring(envelope, encoding="UTF-8", xml_declaration=True)
    return Response(
        body, status_code=status, headers={"content-type": "application/xml;charset=UTF-8"}
    )


def error_reply(error: ApiError) -> Response:
    """Returns an error as the HTTP response that a Tableau Server sends for it."""
    return reply(
        element(
            "error",
            {"code": error.code},
            text_element("summary", error.summary),
            text_element("detail", error.detail),
        ),
        status=error.status,
    )


def read_request(body: bytes, expected: str) -> ET.Element:
    """Returns the one child of a request's envelope, without namespaces.

    Args:
        body: The request's XML.
        expected: Name of the child.

    Raises:
        ApiError: 400000; the XML is missing, malformed, declares a document type or entities, is in
            a namespace that is not Tableau's, or holds something else.
    """
    root = _envelope(body)
    if len(root) != 1:
        raise bad_request(MALFORMED)
    if root[0].tag != expected:
        raise _unexpected(root[0].tag, [expected])
    return root[0]


def read_optional(body: bytes, expected: str) -> ET.Element | None:
    """Returns the one child of a request's envelope, None where body or envelope are empty.

    Raises:
        ApiError: See `read_request`.
    """
    if not body.strip():
        return None
    root = _envelope(body)
    return read_request(body, expected) if len(root) else None


def check_attributes(node: ET.Element, known: Collection[str]) -> None:
    """Refuses attributes that would have no effect here.

    Raises:
        ApiError: 501000; names the first of them.
    """
    for name in node.attrib:
        if name not in known:
            raise not_implemented(f"the attribute '{name}' of <{node.tag}>")


def check_children(parent: ET.Element, expected: Collection[str]) -> None:
    """Refuses children that a Tableau Server does not expect there.

    Raises:
        ApiError: 400000; names the first unexpected element.
    """
    for child in parent:
        if child.tag not in expected:
            raise _unexpected(child.tag, expected)


def flag(node: ET.Element, name: str) -> bool | None:
    """Returns a boolean attribute, None when it is absent; capitals do not matter.

    Raises:
        ApiError: 400000; the value is neither true nor false.
    """
    value = node.get(name)
    if value is None:
        return None
    if value.lower() not in {"true", "false"}:
        raise bad_request(f"Invalid value '{value}' of '{name}': true or false expected.")
    return value.lower() == "true"


def _envelope(body: bytes) -> ET.Element:
    try:
        root: ET.Element = fromstring(body, forbid_dtd=True)
    except (ET.ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise bad_request(MALFORMED) from error
    for node in root.iter():
        node.tag = _bare(str(node.tag))
    if root.tag != "tsRequest":
        raise _unexpected(root.tag, ["tsRequest"])
    return root


def _bare(tag: str) -> str:
    if not tag.startswith("{"):
        return tag
    namespace, _, name = tag[1:].partition("}")
    if namespace != NAMESPACE:
        raise _unexpected(name, [], namespace)
    return name


def _unexpected(name: str, expected: Collection[str], namespace: str = "") -> ApiError:
    known = ",".join(f"<{{}}{one}>" for one in expected)
    return bad_request(
        f'Deserialization problem: unexpected element (uri:"{namespace}", local:"{name}").'
        + (f" Expected elements are {known}" if known else "")
    )
