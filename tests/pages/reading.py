"""A page as its readers get it: the words of it, its elements, and what its pictures show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

UNSEEN: Final = ("style", "title", "desc")
BLOCKS: Final = ("dt", "dd", "div", "td", "th", "li", "p", "h1", "h2", "h3", "h4", "figcaption", "blockquote")


@dataclass
class Element:
    """An element with everything that stands inside it."""

    tag: str
    attributes: dict[str, str]
    within: tuple["Element", ...]
    texts: list[str] = field(default_factory=list)

    @property
    def looks(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def stands_in(self, look: str) -> bool:
        return any(look in outer.looks for outer in self.within)


class Page(HTMLParser):
    """A page, taken apart."""

    VOID: Final = ("meta", "br", "hr", "img", "link", "input")

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self._words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag in BLOCKS:
            self.handle_data(" ")
        if tag not in self.VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)
        if not any(element.tag in UNSEEN for element in self._open):
            self._words.append(data)

    @property
    def is_whole(self) -> bool:
        """Whether everything that was opened is closed."""
        return not self._open

    @property
    def text(self) -> str:
        """Everything that can be read, with single spaces."""
        return " ".join("".join(self._words).split())

    def all(self, tag: str, look: str | None = None, within: str | None = None) -> list[Element]:
        """Find elements by tag, by class, and by the class of something around them."""
        return [
            element
            for element in self.elements
            if element.tag == tag
            and (look is None or look in element.looks)
            and (within is None or element.stands_in(within))
        ]

    def points(self, picture: str = "wide") -> dict[str, tuple[float, float]]:
        """Where the values of a picture stand: session -> x and y."""
        found = {}
        for mark in self.all("path", "point", within=picture):
            x, y = _numbers(mark.attributes["transform"])
            found[mark.attributes["data-session"]] = (x, y)
        return found

    def line(self, look: str, picture: str = "wide") -> float | None:
        """How deep a line across a picture lies; None if there is none."""
        lines = self.all("line", look, within=picture)
        return float(lines[0].attributes["y1"]) if lines else None

    def depth(self, value: str, picture: str = "wide") -> float:
        """How deep a value lies, by the ticks of the axis."""
        ticks = {}
        for label in self.all("text", "tick", within=picture):
            ticks[float(label.text.replace(",", "."))] = float(label.attributes["y"]) - 3.7
        (low, low_y), *_, (high, high_y) = sorted(ticks.items())
        return low_y + (float(value) - low) / (high - low) * (high_y - low_y)

    def rows(self, within: str = "figures") -> list[list[str]]:
        """The rows of a table, cell by cell."""
        rows: list[list[str]] = []
        for element in self.elements:
            if element.stands_in(within) and element.tag == "tr":
                rows.append([])
            elif element.stands_in(within) and element.tag in ("td", "th"):
                rows[-1].append(element.text)
        return rows

    def addresses(self) -> Iterator[str]:
        """Everything that points somewhere."""
        for element in self.elements:
            for name in ("href", "src", "srcset", "action", "data", "xlink:href", "poster", "background"):
                if name in element.attributes:
                    yield element.attributes[name]


def _numbers(text: str) -> tuple[float, float]:
    x, y = re.findall(r"-?[\d.]+", text)
    return float(x), float(y)
