"""Faults that change the reply: errors, pages of a gateway or a login, redirects, half replies.

Kinds that only concern what is sent back belong here; those that touch the connection, time or the
sandbox's state do not. Each can come before the work is done or after it, unless it says otherwise.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Literal

from starlette.responses import HTMLResponse, Response
from starlette.types import Message

from mds_tableau.sandbox import xmlio
from mds_tableau.sandbox.errors import SUMMARIES
from mds_tableau.sandbox.faults.exchange import Exchange, Fault, Proceed, When

# These come from what stands before a Tableau Server, which does not speak its XML.
GATEWAY_STATUSES = frozenset({413, 502, 503, 504})
LOGIN_PAGE = (
    '<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method="post">'
    '<input name="user"/><input name="password" type="password"/><button>Sign in</button>'
    "</form></body></html>"
)
BROKEN_XML = b"<?xml version='1.0' encoding='UTF-8'?><tsResponse xmlns=\"http://tableau.com/api\"><"


@dataclass(frozen=True)
class Reply(Fault):
    """A fault that sends a reply of its own; subclasses say which."""

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Does the work or not, and then answers."""
        if self.is_after:
            await proceed(exchange.without_reply())
        else:
            # A client that is still sending would take an early answer for a broken connection.
            await exchange.drain()
        await exchange.answer(self.response(exchange))

    @property
    def is_after(self) -> bool:
        """Whether the work is done before the reply."""
        return getattr(self, "when", "before") == "after"

    def response(self, exchange: Exchange) -> Response:
        """Returns the reply."""
        raise NotImplementedError


@dataclass(frozen=True)
class Status(Reply):
    """Answers with an HTTP status.

    Attributes:
        status: The status.
        code: Tableau's code in XML; None means the status and three zeros.
        summary: A few words; "" means those that go with the status.
        detail: What is wrong; "" means a plain sentence.
        body: Whether XML, HTML or nothing; "auto" means HTML where a gateway answers so.
        retry_after: Seconds of a Retry-After header; None means no such header.
        when: Whether the work is done.
    """

    kind: ClassVar[str] = "status"
    status: int = 503
    code: int | None = None
    summary: str = ""
    detail: str = ""
    body: Literal["auto", "xml", "html", "empty"] = "auto"
    retry_after: int | None = None
    when: When = "before"

    def response(self, exchange: Exchange) -> Response:
        """Returns the error."""
        body = self.body
        if body == "auto":
            body = "html" if self.status in GATEWAY_STATUSES else "xml"
        summary = self.summary or _summary(self.status)
        if body == "xml":
            response = self._xml(summary, self.detail or self._detail(exchange.operation))
        elif body == "html":
            # Not XHTML: a client that parses it must fail, as it does with a gateway's own page.
            page = f"<html><head><hr></head><body><h1>{self.status} {summary}</h1></body></html>"
            response = HTMLResponse(page, self.status)
        else:
            response = Response(status_code=self.status)
        if self.retry_after is not None:
            response.headers["retry-after"] = str(self.retry_after)
        return response

    def _xml(self, summary: str, detail: str) -> Response:
        error = xmlio.element(
            "error",
            {"code": self.code or self.status * 1000},
            xmlio.text_element("summary", summary),
            xmlio.text_element("detail", detail),
        )
        return xmlio.reply(error, status=self.status)

    def _detail(self, operation: str) -> str:
        if self.status != HTTPStatus.TOO_MANY_REQUESTS:
            return "The sandbox was told to answer so."
        wait = (
            "" if self.retry_after is None else f" Please retry after {self.retry_after} seconds."
        )
        return f"Too many requests for 'api.rest.{operation}'.{wait}"


@dataclass(frozen=True)
class LoginPage(Reply):
    """Answers 200 with a page to sign in at, as a proxy does that wants to know who asks.

    Attributes:
        when: Whether the work is done.
        well_formed: Whether the page is XML too, which clients then find nothing in.
    """

    kind: ClassVar[str] = "login_page"
    when: When = "before"
    well_formed: bool = True

    def response(self, exchange: Exchange) -> Response:
        """Returns the page."""
        return HTMLResponse(LOGIN_PAGE if self.well_formed else LOGIN_PAGE.replace("/>", ">"))


@dataclass(frozen=True)
class BrokenXml(Reply):
    """Answers 200 with XML that ends in the middle, as if that were all.

    Attributes:
        when: Whether the work is done.
    """

    kind: ClassVar[str] = "broken_xml"
    when: When = "before"

    def response(self, exchange: Exchange) -> Response:
        """Returns the piece of XML."""
        return Response(BROKEN_XML, headers={"content-type": "application/xml;charset=UTF-8"})


@dataclass(frozen=True)
class Redirect(Reply):
    """Sends the client elsewhere; the work is not done.

    Attributes:
        status: The status.
        location: Where to; `{target}` stands for the path and query that were asked for, and ""
            means that the reply does not say where.
    """

    kind: ClassVar[str] = "redirect"
    status: Literal[301, 302, 303, 307, 308] = 302
    location: str = "{target}"

    def response(self, exchange: Exchange) -> Response:
        """Returns the redirect."""
        location = self.location.replace("{target}", exchange.target)
        return Response(
            status_code=self.status, headers={"location": location} if location else None
        )


@dataclass(frozen=True)
class Truncate(Fault):
    """Ends the reply in the middle of its body; the work is done.

    Attributes:
        keep: How many bytes of the body are sent.
        announced: Whether Content-Length tells of the whole, so that the client sees the
            connection end early; otherwise it tells of what is sent.
    """

    kind: ClassVar[str] = "truncate"
    keep: int = 100
    announced: bool = True

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Keeps the reply, and sends a part of it."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await proceed(exchange.sending(collect))
        body = b"".join(message.get("body", b"") for message in messages[1:])
        sent, start = body[: self.keep], messages[0]
        length = len(body if self.announced else sent)
        kept = [header for header in start["headers"] if header[0].lower() != b"content-length"]
        await exchange.send(
            {**start, "headers": [*kept, (b"content-length", str(length).encode())]}
        )
        cut = length > len(sent)
        await exchange.send({"type": "http.response.body", "body": sent, "more_body": cut})
        if cut:
            exchange.connection.close()
            await exchange.disconnected()


def _summary(status: int) -> str:
    if status in SUMMARIES:
        return SUMMARIES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
