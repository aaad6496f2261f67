"""HTML and SVG as a tree; the standard library's serialiser does the escaping."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Child = Element | str | None


def el(tag: str, *children: Child | Iterable[Child], **attributes: str | float | None) -> Element:
    """Return an element; text among the children is text, whatever it looks like.

    `class_` is class and `stroke_width` is stroke-width; an attribute that is None is left out.

    >>> from xml.etree.ElementTree import tostring
    >>> tostring(el("b", "1 < 2", class_="x"), encoding="unicode", method="html")
    '<b class="x">1 &lt; 2</b>'
    """
    element = Element(
        tag,
        {
            name.rstrip("_").replace("_", "-"): value if isinstance(value, str) else number(value)
            for name, value in attributes.items()
            if value is not None
        },
    )
    for child in children:
        if child is None or isinstance(child, str | Element):
            _append(element, child)
        else:
            for one in child:
                _append(element, one)
    return element


def number(value: float) -> str:
    """Write a length down as briefly as a picture needs it.

    >>> number(3.0), number(3.14159), number(-0.001)
    ('3', '3.1', '0')
    """
    short = f"{value:.1f}".removesuffix(".0")
    return "0" if short == "-0" else short


def document(root: Element) -> bytes:
    """Return a whole page; a lone surrogate, which UTF-8 has no bytes for, becomes a `?`."""
    text = tostring(root, encoding="unicode", method="html", short_empty_elements=False)
    return ("<!DOCTYPE html>\n" + text + "\n").encode("utf-8", "replace")


def _append(parent: Element, child: Child) -> None:
    if isinstance(child, Element):
        parent.append(child)
    elif child:
        children = list(parent)
        if children:
            children[-1].tail = (children[-1].tail or "") + child
        else:
            parent.text = (parent.text or "") + child
