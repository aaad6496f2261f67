"""The platform whose roles are killed, on each database; on PostgreSQL it is part of the soak."""

from collections.abc import Iterator

import pytest

from support.postgres import Postgres
from support.roles import Platform, begun


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)],
)
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A platform that serves; every test leaves it whole, and may find it in the middle of more."""
    database = ""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        database = server.url(server.create())
    with begun(tmp_path_factory.mktemp("faults") / "data", database) as running:
        yield running
