"""State machines as data: a table of arrows per noun, and the one function that follows them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from burnish.kernel.errors import IllegalTransition

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


def advance(
    table: Mapping[State, Mapping[Event, State]], noun: str, state: State, event: Event
) -> State:
    """Return the state that follows `state` on `event`. Raises IllegalTransition if none does."""
    arrows = table[state]
    if event not in arrows:
        allowed = ", ".join(arrows) or "nothing: it has ended"
        raise IllegalTransition(
            f"A {noun} that is {state} cannot {event}; from here: {allowed}.",
            noun=noun,
            state=state.value,
            event=event.value,
        )
    return arrows[event]


def ends(table: Mapping[State, Mapping[Event, State]]) -> frozenset[State]:
    """Return the states that no arrow leaves."""
    return frozenset(state for state, arrows in table.items() if not arrows)
