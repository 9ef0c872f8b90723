"""HTML that cannot be broken by recorded text: every value is escaped unless it is markup already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(value: object) -> str:
    """The value as HTML: escaped, unless it is markup."""
    return value if isinstance(value, Markup) else escape(str(value))


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """An element; `class_` and `for_` lose their underscore, other underscores are hyphens."""
    names = {
        name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None
    }
    given = "".join(f' {name}="{escape(str(value))}"' for name, value in names.items())
    return Markup(f"<{tag}{given}>{''.join(map(html, content))}</{tag}>")


def joined(parts: Iterable[object]) -> Markup:
    """The parts one after another."""
    return Markup("".join(map(html, parts)))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, wide: bool = False) -> Markup:
    """A table. A wide one is shown as cards on a phone: each cell knows its head."""
    body = joined(
        element("tr", *(element("td", cell, data_head=head) for head, cell in zip(heads, row, strict=True)))
        for row in rows
    )
    if not body:
        return element("p", "Nothing here yet.", class_="none")
    head = element("thead", element("tr", *(element("th", head) for head in heads)))
    return element("table", head, element("tbody", body), class_="cards" if wide else None)


def link(target: str, *content: object) -> Markup:
    """A link."""
    return element("a", *content, href=target)
