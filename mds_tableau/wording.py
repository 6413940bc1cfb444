"""How messages call what is exported, and how an analyst asks for something else.

The same rules speak to who writes dbt models and to who types a command. What is wrong is said
where it is found.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """The words of one of the two.

    Attributes:
        what: What is exported.
        asks: What asks for options of columns, and does.
        option: Where an option of one column stands.
        place: Where to ask for an option of a column.
        convert: How else to get another type.
    """

    what: str
    asks: str
    option: str
    place: str
    convert: str

    def ask(self, options: Iterable[str]) -> str:
        """Return the sentence that says what can be asked for, or "" for nothing.

        >>> MODEL.ask(["as: text"])
        "Ask for 'as: text' under config.meta.tableau of the column, or convert it in the model."
        """
        asked = " or ".join(f"'{option}'" for option in options)
        return f"Ask for {asked} {self.place}, or {self.convert}." if asked else ""


MODEL = Wording(
    what="mart",
    asks="config.meta.tableau asks",
    option="under config.meta.tableau",
    place="under config.meta.tableau of the column",
    convert="convert it in the model",
)
COMMAND = Wording(
    what="input",
    asks="--ask says",
    option="of --ask",
    place="with --ask 'COLUMN=...'",
    convert="convert it with --type COLUMN=TYPE",
)
