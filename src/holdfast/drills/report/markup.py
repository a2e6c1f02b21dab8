"""HTML as a tree: text and attributes are escaped by the standard library's serializer, never by hand."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Child = Element | str
"""Text stands for itself: whatever it contains, it stays text."""


def el(tag: str, *children: Child, **attributes: object) -> Element:
    """An element. Names of attributes: `class_` is `class`, `stroke_width` is `stroke-width`."""
    made = Element(
        tag, {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
    )
    for child in children:
        add(made, child)
    return made


def add(parent: Element, child: Child) -> None:
    if isinstance(child, Element):
        parent.append(child)
    elif len(parent):
        parent[-1].tail = (parent[-1].tail or "") + child
    else:
        parent.text = (parent.text or "") + child


def table(head: Iterable[str], rows: Iterable[Iterable[Child]], **attributes: object) -> Element:
    """A table that scrolls by itself where the screen is narrow."""
    body = el("tbody", *(el("tr", *(el("td", cell) for cell in row)) for row in rows))
    inner = el("table", el("thead", el("tr", *(el("th", name) for name in head))), body, **attributes)
    return el("div", inner, class_="scroll")


def document(title: str, style: str, *body: Child) -> str:
    """A whole page that needs nothing but itself."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", title),
        el("style", style),
    )
    page = el("html", head, el("body", *body), lang="en")
    return "<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n"
