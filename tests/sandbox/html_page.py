"""A page of the sandbox as its readers meet it: by headings, tables and links."""

from dataclasses import dataclass
from typing import Any

import requests
from lxml import html


@dataclass(frozen=True)
class HtmlPage:
    """A page that was loaded.

    Attributes:
        response: How the server answered.
        root: The parsed page.
    """

    response: requests.Response
    root: Any

    @classmethod
    def load(cls, url: str) -> "HtmlPage":
        """Returns the page at an address."""
        response = requests.get(url, timeout=60)
        return cls(response, html.fromstring(response.text))

    @property
    def text(self) -> str:
        """All of its text."""
        return str(self.root.text_content())

    @property
    def tags(self) -> set[str]:
        """The names of its elements."""
        return {str(node.tag) for node in self.root.iter()}

    @property
    def ids(self) -> set[str]:
        """The ids of its elements."""
        return set(self.root.xpath("//@id"))

    @property
    def links(self) -> set[str]:
        """Where its links lead."""
        return set(self.root.xpath("//a/@href"))

    def table(self, caption: str, nth: int = 0) -> list[dict[str, str]]:
        """Returns the rows of a table by the names of its columns, with spaces as shown."""
        [found] = [
            table
            for table in self.root.xpath("//table")
            if _text(table.find("caption")).startswith(caption)
        ][nth : nth + 1]
        heads = [_text(cell) for cell in found.xpath("./thead/tr/th")]
        return [
            dict(zip(heads, map(_text, row.xpath("./th|./td")), strict=False))
            for row in found.xpath("./tbody/tr")
        ]

    def bars(self, column: str) -> list[str]:
        """Returns what a column's histogram tells of its bars."""
        cell = self.root.xpath("//tr[th[@scope='row' and normalize-space()=$name]]", name=column)[0]
        return [str(title.text) for title in cell.xpath(".//*[local-name()='title']")]


def _text(node: Any) -> str:
    return " ".join(str(node.text_content()).split())
