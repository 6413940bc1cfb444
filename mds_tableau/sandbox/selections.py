"""What a GraphQL query selects: reading the part of the language that known clients use.

One query with fields, arguments, variables and inline fragments can be read here; fragments by
name, directives, aliases and several operations cannot, and answering is done elsewhere. It is no
GraphQL engine: it knows no schema and no types.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r'\s*(?:#[^\n]*\s*)*(?:(?P<name>\$?[A-Za-z_]\w*)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>\.\.\.|[^\s]))'
)


class NotUnderstood(Exception):
    """A query uses something that this reader does not know; says what."""


@dataclass
class Selection:
    """A field that a query asks for.

    Attributes:
        name: Its name; "" for the query itself.
        arguments: Its arguments, with variables put in.
        fields: What it asks for of the field, by name.
    """

    name: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, "Selection"] = field(default_factory=dict)


def read(query: str, variables: Mapping[str, Any]) -> Selection:
    """Returns what a query selects.

    Raises:
        NotUnderstood: It is malformed, or uses more of the language than is known here.
    """
    reader = _Reader(list(_tokens(query)), variables)
    if reader.next_is("query"):
        reader.take()
        if not reader.next_is("{", "("):
            reader.take()  # the operation's name, which means nothing
        if reader.next_is("("):
            reader.skip_parentheses()
    selection = Selection()
    reader.read_fields(selection)
    reader.end()
    return selection


def _tokens(query: str) -> Iterator[str]:
    position, text = 0, query.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return
        position = match.end()
        piece = match["name"] or match["text"] or match["mark"]
        if piece != ",":  # commas mean nothing in GraphQL
            yield piece


class _Reader:
    def __init__(self, tokens: list[str], variables: Mapping[str, Any]) -> None:
        self._tokens = tokens
        self._variables = variables
        self._at = 0

    def next_is(self, *tokens: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] in tokens

    def take(self, expected: str = "") -> str:
        if self._at >= len(self._tokens):
            raise NotUnderstood("the query ends too early")
        piece = self._tokens[self._at]
        if expected and piece != expected:
            raise NotUnderstood(f"'{piece}' where '{expected}' was expected")
        self._at += 1
        return piece

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise NotUnderstood(f"'{self._tokens[self._at]}' after the query's end")

    def skip_parentheses(self) -> None:
        self.take("(")
        while self.take() != ")":
            pass

    def read_fields(self, into: Selection) -> None:
        self.take("{")
        while not self.next_is("}"):
            if self.next_is("..."):
                self.take()
                self.take("on")
                self._name()
                self.read_fields(into)
                continue
            name = self._name()
            found = into.fields.setdefault(name, Selection(name))
            if self.next_is(":", "@"):
                raise NotUnderstood(f"an alias or directive at '{name}'")
            if self.next_is("("):
                found.arguments = self._arguments()
            if self.next_is("{"):
                self.read_fields(found)
        self.take("}")

    def _name(self) -> str:
        name = self.take()
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise NotUnderstood(f"'{name}' where a name was expected")
        return name

    def _arguments(self) -> dict[str, Any]:
        self.take("(")
        return self._pairs(")")

    def _pairs(self, end: str) -> dict[str, Any]:
        pairs = {}
        while not self.next_is(end):
            name = self._name()
            self.take(":")
            pairs[name] = self._value()
        self.take(end)
        return pairs

    def _value(self) -> Any:
        piece = self.take()
        if piece == "{":
            return self._pairs("}")
        if piece == "[":
            values = []
            while not self.next_is("]"):
                values.append(self._value())
            self.take("]")
            return values
        if piece.startswith("$"):
            return self._variables.get(piece[1:])
        if piece.startswith('"'):
            return piece[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        raise NotUnderstood(f"the value '{piece}'")
