"""An object store that fails in every way it can: nothing acknowledged is lost, nothing doubled."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import obstore
import pytest
from obstore.store import S3Store
from sqlalchemy import delete, insert, select

from burnish.adapters.objects_s3 import StoreUnavailable
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.raw_object import object_key
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.schema import raw_objects
from burnish.kernel.objects import ObjectNotFound
from support import raw_reader
from support.flaky import CUT, CUT_ANSWER, LATE, LOST, FlakyS3
from support.intake import Intake, Load, until
from support.s3 import S3Server

Make = Callable[..., Intake]
FAILURES = 'burnish_upload_failures_total{what="raw_log"}'
FAILING = 'burnish_upload_failing_seconds{what="raw_log"}'
FAST = {"seal_seconds": 0.1, "segment_bytes": 20_000, "s3_timeout_s": 1.0}


def raw(s3: S3Server, url: str) -> list[raw_reader.Line]:
    return raw_reader.lines_of(raw_reader.bucket(url, s3.endpoint))


@pytest.mark.parametrize("mode", ["500", "503", LATE, LOST, CUT])
def test_a_store_in_trouble_delays_and_neither_loses_nor_doubles(
    s3: S3Server, flaky: FlakyS3, make_intake: Make, mode: str
) -> None:
    url = s3.url()
    intake = make_intake(**FAST, s3_url=url, s3_endpoint=flaky.url)
    intake.start()
    with Load(intake, writers=2) as load:
        until(lambda: raw(s3, url), intake.log)
        flaky.trouble(mode)
        until(lambda: intake.metric(FAILURES) > 1, intake.log)
        before = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > before, intake.log)  # accepted meanwhile
        flaky.end_trouble()
    intake.seal()
    raw_reader.check(raw(s3, url), load.acknowledged)
    assert intake.metric(FAILING) == 0


@pytest.mark.parametrize("how", ["hung", "killed"])
def test_a_store_that_is_gone_for_a_while_gets_everything_once_it_is_back(
    s3: S3Server, make_intake: Make, how: str
) -> None:
    url = s3.url()
    intake = make_intake(**FAST, s3_url=url, s3_endpoint=s3.endpoint)
    intake.start()
    with Load(intake, writers=2) as load:
        until(lambda: intake.metric('burnish_upload_seconds_count{what="raw_log"}'), intake.log)
        s3.hang() if how == "hung" else s3.kill()
        until(lambda: intake.metric(FAILURES) > 1, intake.log)
        before = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > before, intake.log)
        s3.restore()
    intake.seal()
    raw_reader.check(raw(s3, url), load.acknowledged)


def test_an_object_of_other_bytes_is_never_overwritten_and_stops_the_log_until_it_is_moved(
    s3: S3Server, make_intake: Make
) -> None:
    # Given a stranger's object where the first sealed range will go, whatever the hour turns to.
    url = s3.url()
    now = datetime.now(UTC)
    keys = [object_key("0", 0, 0, now + timedelta(hours=hour)) for hour in (0, 1)]
    for key in keys:
        s3.objects(url).put(key, b"a stranger's")
    intake = make_intake(s3_url=url, s3_endpoint=s3.endpoint, seal_seconds=0.05)
    intake.start()
    assert intake.send(0)[0] == 202

    # When it is time to upload, then the range waits, and says so; records are taken meanwhile.
    until(lambda: intake.metric(FAILURES) > 2, intake.log)
    assert intake.metric(FAILING) > 0
    assert intake.send(1)[0] == 202
    assert intake.send(0)[0] == 200
    assert [s3.objects(url).get(key) for key in keys] == [b"a stranger's"] * 2
    assert "taken by other bytes" in intake.log()

    # And once the stranger's object is moved away, everything goes on.
    store = S3Store.from_url(url, config=s3.config(), client_options={"allow_http": True})
    for key in keys:
        obstore.delete(store, key)
    assert intake.seal() == 2
    assert [line.id for line in raw(s3, url)] == ["r-0", "r-1"]


def test_an_object_without_its_row_stops_the_log_and_a_restored_row_lets_it_go_on(
    s3: S3Server, make_intake: Make
) -> None:
    # Given a database that was restored from before the last range.
    url = s3.url()
    intake = make_intake(s3_url=url, s3_endpoint=s3.endpoint)
    intake.start()
    assert intake.send(0)[0] == 202
    assert intake.seal() == 1
    engine = make_engine(f"sqlite:///{intake.data / 'burnish.db'}")
    with engine.begin() as connection:
        row = dict(connection.execute(select(raw_objects)).mappings().one())
        connection.execute(delete(raw_objects))

    # When more comes in, then nothing is listed behind the gap, and nothing is lost.
    assert intake.send(1)[0] == 202
    until_failing(intake)
    assert RawLogReader(s3.objects(url), engine).end() == {}

    # And with the row back, everything goes on.
    with engine.begin() as connection:
        connection.execute(insert(raw_objects).values(**row))
    engine.dispose()
    assert intake.seal() == 2
    assert [line.id for line in raw(s3, url)] == ["r-0", "r-1"]


def until_failing(intake: Intake) -> None:
    """Ask for a seal that cannot be done, and wait until the metrics say so."""
    threading.Thread(target=intake.call, args=("POST", "/v1/seal", b""), daemon=True).start()
    until(lambda: intake.metric(FAILURES) > 1, intake.log)


def test_a_row_without_its_object_is_an_error_and_never_a_gap_passed_over(
    s3: S3Server, make_intake: Make
) -> None:
    url = s3.url()
    intake = make_intake(s3_url=url, s3_endpoint=s3.endpoint)
    intake.start()
    for number in range(2):
        assert intake.send(number)[0] == 202
        intake.seal()
    store = S3Store.from_url(url, config=s3.config(), client_options={"allow_http": True})
    obstore.delete(store, min(s3.objects(url).list("raw/")))
    engine = make_engine(f"sqlite:///{intake.data / 'burnish.db'}")
    with pytest.raises(ObjectNotFound):
        list(RawLogReader(s3.objects(url), engine).read("0", 0, 2))
    engine.dispose()


@pytest.mark.parametrize("mode", ["500", CUT_ANSWER])
def test_a_reader_sees_whole_objects_or_none(s3: S3Server, flaky: FlakyS3, mode: str) -> None:
    url = s3.url()
    data = bytes(range(256)) * 4096
    s3.objects(url).put("artifacts/model", data)
    through = s3.objects(url, endpoint=flaky.url, timeout_s=3)
    flaky.trouble(mode, "GET")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="did not get"):
        through.get("artifacts/model")
    assert time.monotonic() - began < 30
    flaky.end_trouble()
    assert through.get("artifacts/model") == data
