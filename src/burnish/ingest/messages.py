"""Messages: one record each as it came, and how a batch falls into them."""

import re
from typing import Final

import msgspec
from msgspec import Struct

from burnish.feedback.model import MalformedFeedback, NotJson
from burnish.feedback.parse import BATCH, PLAIN, STRUCTURED, TRACE, media_type
from burnish.ingest.bodies import TooLarge
from burnish.kernel.errors import BurnishError

_EVENT: Final = re.compile(rb'"specversion"\s*:')  # only a key is followed by a colon


class Message(Struct, frozen=True):
    """One record as it came, or several that are still to be split."""

    body: bytes
    content_type: str
    ce: dict[str, str]
    error: BurnishError | None = None  # why it cannot even be looked at: its wrapping is broken
    content_encoding: str = ""  # of a body that could not be expanded


def split(message: Message, *, most: int) -> dict[int, Message]:
    """Return the messages of a batch by their line, or by their place in the array.

    Raises:
        NotJson, MalformedFeedback: it is no batch.
        TooLarge: it has more than `most` records, or lines.
        BurnishError: the message's own.
    """
    if message.error is not None:
        raise message.error
    trace = {name: value for name, value in message.ce.items() if name == TRACE}
    if media_type(message.content_type) == BATCH:
        events = _events(message.body)
        _check(len(events), most)
        return {
            index: Message(bytes(event), STRUCTURED, trace) for index, event in enumerate(events)
        }
    _check(message.body.rstrip(b"\n").count(b"\n") + 1, most)
    return {
        index: Message(line, STRUCTURED if _EVENT.search(line) else PLAIN, trace)
        for index, line in enumerate(message.body.split(b"\n"))
        if line.strip()
    }


def _check(count: int, most: int) -> None:
    if count > most:
        detail = f"The batch holds {count:,} records: send at most {most:,} at a time."
        raise TooLarge(detail, limit=most)


def _events(body: bytes) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    except RecursionError as error:
        raise MalformedFeedback("The batch nests too deeply: records are flat.") from error
    except msgspec.ValidationError as error:
        raise MalformedFeedback(f"The batch is not a JSON array of events: {error}.") from error
    except msgspec.DecodeError as error:
        raise NotJson(f"The batch is not JSON: {error}.") from error
