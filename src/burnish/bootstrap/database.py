"""The metadata database for who only looks at it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from burnish.adapters.sql.engine import make_engine, reach


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Open a database for a block; nothing is made in it.

    Raises InvalidInput if the URL is of no database that we use, Unavailable if it does not answer.
    """
    engine = make_engine(url)
    try:
        reach(engine)
        yield engine
    finally:
        engine.dispose()
