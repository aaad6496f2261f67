"""Messages of a queue, put before the judgement that requests get."""

from collections.abc import Mapping
from typing import Final

import structlog

from burnish.feedback.parse import PLAIN, is_batch
from burnish.feedback.ports import Directory
from burnish.ingest.bodies import TooLarge
from burnish.ingest.messages import Message
from burnish.ingest.records import Records
from burnish.kernel.errors import Conflict, InvalidInput, Unavailable

_log = structlog.get_logger("burnish.ingest")

MOST_RECORDS: Final = 100  # in one message: it is acknowledged, or delivered again, as a whole
_MAX_CONTENT_TYPE: Final = 255


class Poison(InvalidInput):
    """A message on which processing fails time and again; kept unread, for a person to look at."""

    code = "poison_message"


class Intake:
    """Takes messages for `Records`, and answers with nothing but the end of its work.

    Nobody waits for a verdict at the other end of a queue: what is refused is in quarantine.

    Args:
        records: judges and keeps.
        directory: the models that a record may speak of.
        cap: bytes of a message.
    """

    def __init__(self, records: Records, directory: Directory, *, cap: int) -> None:
        self._records, self._directory, self._cap = records, directory, cap

    async def take(self, body: bytes, content_type: str, ce: Mapping[str, str]) -> None:
        """Make every record of a message durable, as the port says. Raises Unavailable."""
        message = _message(body, content_type, ce)
        try:
            await self._judge(message)
        except Unavailable:
            raise
        except (InvalidInput, Conflict) as error:  # it is in quarantine by now
            _log.info("queue.refused", code=error.code)
        except Exception as error:  # noqa: BLE001 - one message must not stop all behind it
            _log.exception("queue.failed")
            await self._records.refuse(message, Poison(f"It could not be judged: {error!r}."))

    async def put_aside(
        self, body: bytes, content_type: str, ce: Mapping[str, str], *, why: str
    ) -> None:
        """Keep a message in quarantine, unread. Raises Unavailable."""
        await self._records.refuse(_message(body, content_type, ce), Poison(why))

    async def _judge(self, message: Message) -> None:
        published = self._directory.current()
        if len(message.body) > self._cap:
            error = TooLarge(f"The message has more than {self._cap} bytes.", limit=self._cap)
            await self._records.refuse(message, error)
        elif is_batch(message.content_type, message.ce):
            await self._records.batch(message, published, most=MOST_RECORDS)
        else:
            await self._records.one(message, published)


def _message(body: bytes, content_type: str, ce: Mapping[str, str]) -> Message:
    return Message(body, (content_type or PLAIN)[:_MAX_CONTENT_TYPE], dict(ce))
