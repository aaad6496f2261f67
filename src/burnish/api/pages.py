"""The one shape in which lists are answered."""

from typing import Generic, TypeVar

from msgspec import Struct

Item = TypeVar("Item")


class Items(Struct, Generic[Item], kw_only=True):
    """A list, newest first unless its route says otherwise."""

    items: list[Item]
