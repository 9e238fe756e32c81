"""A page as a parser sees it: what is an element or an attribute here is one in a browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "img", "br", "col", "wbr", "path"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if child.tag == tag and all(
                    value in (child.attributes.get(name) or "").split() or child.attributes.get(name) == value
                    for name, value in wanted.items()
                ):
                    found.append(child)
                found += child.all(tag, **attributes)
        return found

    def one(self, tag: str, **attributes: str) -> Element:
        (found,) = self.all(tag, **attributes)
        return found


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.stack = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.stack[-1].children.append(element)
        if tag not in _VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while len(self.stack) > 1:
            if self.stack.pop().tag == tag:
                return

    def handle_data(self, data: str) -> None:
        self.stack[-1].children.append(data)


def parsed(html: str) -> Element:
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.root


def shown_logs(html: str) -> list[int]:
    """The ids of the logs in the table, in the order in which they stand there."""
    return _shown(html, "log-")


def shown_jobs(html: str) -> list[int]:
    """The same of the list of jobs."""
    return _shown(html, "job-")


def _shown(html: str, prefix: str) -> list[int]:
    rows = [row for body in parsed(html).all("tbody") for row in body.all("tr")]
    return [int((row.attributes["id"] or "").removeprefix(prefix)) for row in rows]


def addresses(html: str) -> dict[str, str]:
    """Where the links of the pager lead, by their ids."""
    links = [link for link in parsed(html).all("a") if link.attributes.get("id")]
    return {str(link.attributes["id"]): str(link.attributes["href"]) for link in links}
