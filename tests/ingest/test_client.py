"""The feedback client before a real front, and before a proxy that loses and refuses."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burnish.client.feedback import ApiProblem, AsyncFeedback, Closed, Feedback, Unreachable
from support.flaky_proxy import Fault, FlakyProxy

BEARER = "a-token"
DEADLINE_S = 60
SENDER = Path(__file__).parent / "sender.py"


@pytest.fixture(name="front", scope="module")
def _front(lasting: Any) -> Any:
    return lasting


@pytest.fixture(name="source")
def _source(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


@pytest.fixture(name="record")
def _record(record: Any, source: str) -> Callable[..., dict[str, Any]]:
    return lambda number=1, **changes: record(number, **({"source": source} | changes))


@pytest.fixture(name="logged")
def _logged(front: Any, source: str) -> Callable[[], list[str]]:
    """Tell which records of this test are in the raw log, in order."""

    def logged() -> list[str]:
        front.post("/v1/seal", b"")
        return [one.id for one in front.raw_log() if one.source == source]

    return logged


@pytest.fixture(name="proxy")
def _proxy(front: Any) -> Iterator[FlakyProxy]:
    proxy = FlakyProxy(front.url)
    yield proxy
    proxy.close()


@pytest.fixture(name="plan")
def _plan(proxy: FlakyProxy) -> Callable[..., None]:
    """Have the next requests go wrong in these ways, and later ones not."""

    def plan(*faults: Fault) -> None:
        turn = iter(faults)
        proxy.plan = lambda: next(turn, Fault.NONE)

    return plan


def unnamed(record: Any, number: int, **changes: Any) -> dict[str, Any]:
    return record(number, id=..., source=..., **changes)  # type: ignore[no-any-return]


def test_a_record_gets_an_id_and_the_clients_source(front: Any, record: Any) -> None:
    with Feedback(front.url, BEARER, source="shop") as feedback:
        first, second = (feedback.send(unnamed(record, number)) for number in (1, 2))
    assert (first.source, first.code) == ("shop", "accepted")
    assert first.offset is not None
    assert second.offset == first.offset + 1
    assert uuid.UUID(first.id).version == 7
    assert first.id < second.id


def test_a_refusal_is_an_error_with_its_code(front: Any, record: Any) -> None:
    with Feedback(front.url, BEARER) as feedback:
        with pytest.raises(ApiProblem, match="name one of good, defect") as refused:
            feedback.send(record(final="ugly"))
        assert (refused.value.status, refused.value.code) == (422, "unknown_label")
        with pytest.raises(ValueError, match="source is missing"):
            feedback.send(unnamed(record, 1))
        with pytest.raises(ValueError, match="no time zone"):
            feedback.send(record(occurred_at=datetime(2026, 5, 1)))  # noqa: DTZ001
        assert feedback.send(record(occurred_at=datetime(2026, 5, 1, tzinfo=UTC))).accepted
    with pytest.raises(Closed):
        feedback.send(record(2))
    with pytest.raises(ValueError, match="write http://HOST:PORT"):
        Feedback("127.0.0.1:8401", BEARER)
    with Feedback(front.url, "nobody") as stranger, pytest.raises(ApiProblem, match="401"):
        stranger.send(record(3))


def test_many_records_go_in_batches_and_each_has_its_result(
    front: Any, record: Any, logged: Any
) -> None:
    records = [
        record(number, **({"final": "ugly"} if number == 1500 else {})) for number in range(2500)
    ]
    with Feedback(front.url, BEARER) as feedback:
        results = feedback.send_many(records)
        assert feedback.seal() >= 2499
    assert [one.id for one in results] == [one["id"] for one in records]
    assert [(one.id, one.code) for one in results if not one.accepted] == [
        ("r-1500", "unknown_label")
    ]
    assert logged() == [one["id"] for one in records if one["id"] != "r-1500"]


def test_lost_answers_and_pressure_are_retried_with_the_same_bytes_and_count_once(
    record: Any, proxy: FlakyProxy, plan: Callable[..., None]
) -> None:
    plan(Fault.LOST, Fault.UNAVAILABLE, Fault.BUSY, Fault.STRANGER, Fault.TORN, Fault.DROPPED)
    proxy.retry_after = "1"
    with Feedback(proxy.url, BEARER, source="shop") as feedback:
        assert feedback.send(unnamed(record, 1)).duplicate  # its first copy had arrived
        assert feedback.seal() >= 1
    assert len({body for path, body in proxy.asked if path.endswith("batch")}) == 1


def test_patience_ends(record: Any, proxy: FlakyProxy, plan: Callable[..., None]) -> None:
    plan(Fault.BUSY)
    proxy.retry_after = "60"
    with (
        Feedback(proxy.url, BEARER, patience_s=5) as feedback,
        pytest.raises(ApiProblem, match="429"),
    ):
        feedback.send(record())
    proxy.close()
    with (
        Feedback(proxy.url, BEARER, patience_s=0.5) as feedback,
        pytest.raises(Unreachable),
    ):
        feedback.send_many([record(1), record(2)])


def test_what_many_threads_send_at_once_shares_requests(
    record: Any, proxy: FlakyProxy, logged: Any
) -> None:
    with Feedback(proxy.url, BEARER) as feedback, ThreadPoolExecutor(32) as pool:
        results = list(pool.map(feedback.send, (record(number) for number in range(200))))
    assert all(one.code == "accepted" for one in results)
    assert len(proxy.asked) < 200
    assert sorted(logged()) == sorted(f"r-{number}" for number in range(200))


def test_submitted_records_wait_for_each_other_until_a_batch_is_full_or_flushed(
    record: Any, proxy: FlakyProxy
) -> None:
    with Feedback(proxy.url, BEARER, linger_s=3600, batch_records=5) as feedback:
        futures = [feedback.submit(record(number)) for number in range(7)]
        assert [one.result(DEADLINE_S).accepted for one in futures[:5]] == [True] * 5
        assert not futures[6].done()
        feedback.flush()
        assert futures[6].result(0).accepted
        last = feedback.submit(record(7, final="ugly"))
    assert last.result(0).code == "unknown_label"  # closing delivers the rest
    assert [body.count(b"\n") + 1 for _, body in proxy.asked] == [5, 2, 1]


def test_a_short_linger_ends_by_itself(record: Any, proxy: FlakyProxy) -> None:
    with Feedback(proxy.url, BEARER, linger_s=0.05) as feedback:
        futures = [feedback.submit(record(number)) for number in range(3)]
        assert [one.result(DEADLINE_S).accepted for one in futures] == [True] * 3


def test_asyncio_tasks_share_requests_and_have_the_same_methods(
    record: Any, proxy: FlakyProxy, plan: Callable[..., None], logged: Any
) -> None:
    plan(Fault.LOST, Fault.BUSY)

    async def talk() -> None:
        async with AsyncFeedback(Feedback(proxy.url, BEARER)) as feedback:
            sent = await asyncio.gather(*(feedback.send(record(n)) for n in range(500)))
            assert all(one.accepted for one in sent)
            many = await feedback.send_many(record(n) for n in range(490, 510))
            assert [one.duplicate for one in many] == [True] * 10 + [False] * 10
            with pytest.raises(ApiProblem, match="unknown_label"):
                await feedback.send(record(510, final="ugly"))
            cancelled = asyncio.ensure_future(feedback.send(record(511)))
            await asyncio.sleep(0)
            cancelled.cancel()
            later = await feedback.submit(record(512))
            await feedback.flush()
            assert (await later).accepted
            assert await feedback.seal() >= 511

    asyncio.run(talk())
    assert len(proxy.asked) < 20
    assert sorted(set(logged()) - {"r-511"}) == sorted(
        f"r-{n}" for n in range(513) if n not in {510, 511}
    )


def test_with_an_outbox_records_wait_for_a_platform_that_is_away(
    front: Any, record: Any, logged: Any, tmp_path: Path
) -> None:
    told: list[str] = []
    front.stop()
    with Feedback(front.url, BEARER, outbox=tmp_path / "a" / "outbox") as feedback:
        assert feedback.send(record(1)).code == "queued"
        assert [one.code for one in feedback.send_many([record(2), record(3)])] == ["queued"] * 2
        with pytest.raises(Unreachable):
            feedback.flush(0.2)
    front.start()
    with Feedback(
        front.url,
        BEARER,
        outbox=tmp_path / "a" / "outbox",
        on_result=lambda result: told.append(f"{result.id} {result.code}"),
    ) as feedback:
        future = feedback.submit(record(4, final="ugly"))
        feedback.flush(DEADLINE_S)
        assert future.result(0).code == "unknown_label"
    assert told == ["r-1 accepted", "r-2 accepted", "r-3 accepted", "r-4 unknown_label"]
    assert logged() == ["r-1", "r-2", "r-3"]
    assert [path.name for path in (tmp_path / "a" / "outbox").iterdir()] == ["lock"]


def test_an_outbox_keeps_what_a_wrong_token_cannot_deliver(
    front: Any, record: Any, logged: Any, tmp_path: Path
) -> None:
    with Feedback(front.url, "revoked", outbox=tmp_path / "outbox") as feedback:
        feedback.send(record(1))
        with pytest.raises(ApiProblem, match="401"):
            feedback.flush(DEADLINE_S)
    with Feedback(front.url, BEARER, outbox=tmp_path / "outbox") as feedback:
        feedback.flush(DEADLINE_S)
    assert logged() == ["r-1"]


def test_a_revoked_token_fails_each_call_at_once_and_a_mended_one_goes_on(
    front: Any, record: Any, logged: Any
) -> None:
    with Feedback(front.url, BEARER) as feedback:
        front.publish(role="viewer")
        future = feedback.submit(record(1))
        with pytest.raises(ApiProblem, match="403"):
            future.result(DEADLINE_S)
        with pytest.raises(ApiProblem, match="403"):
            feedback.flush()
        front.publish()
        later = feedback.submit(record(2))
        feedback.flush()
        assert later.result(0).accepted
    assert logged() == ["r-2"]


def test_flush_tells_once_of_what_was_given_up_and_so_does_the_end_of_the_block(
    front: Any, record: Any
) -> None:
    def fruitless(number: int) -> None:
        with Feedback(front.url, "wrong") as feedback:
            feedback.submit(record(number))
            with pytest.raises(ApiProblem, match="401"):
                feedback.flush()
            feedback.flush()
            with pytest.raises(ApiProblem, match="401"):
                feedback.send(record(number))  # it has told
            feedback.flush()
            feedback.submit(record(number))

    def broken_off() -> None:
        with Feedback(front.url, "wrong") as feedback:
            feedback.submit(record())
            raise KeyError

    with pytest.raises(ApiProblem, match="401"):
        fruitless(1)
    with pytest.raises(KeyError):
        broken_off()


def test_flush_and_the_end_of_the_block_tell_asyncio_too(front: Any, record: Any) -> None:
    async def talk() -> None:
        async with AsyncFeedback(Feedback(front.url, "wrong")) as feedback:
            first = await feedback.submit(record(1))
            with pytest.raises(ApiProblem, match="401"):
                await feedback.flush()
            with pytest.raises(ApiProblem, match="401"):
                await first
            with pytest.raises(ApiProblem, match="401"):
                await feedback.send(record(1))
            await feedback.flush()
            (await feedback.submit(record(2))).add_done_callback(lambda one: one.exception())

    with pytest.raises(ApiProblem, match="401"):
        asyncio.run(talk())


def test_an_async_client_with_an_outbox_queues_and_delivers(
    front: Any, record: Any, logged: Any, tmp_path: Path
) -> None:
    async def talk() -> None:
        async with AsyncFeedback(Feedback(front.url, BEARER, outbox=tmp_path / "o")) as feedback:
            assert (await feedback.send(record(1))).code == "queued"
            later = await feedback.submit(record(2))
            assert (await later).accepted

    asyncio.run(talk())


def test_kill_9_of_the_sending_process_loses_nothing_that_its_outbox_took(
    front: Any, proxy: FlakyProxy, source: str, logged: Any, tmp_path: Path
) -> None:
    """A process sends without pause and is killed, time after time; then one delivers the rest."""
    faults = iter([*Fault] * 1000)
    proxy.plan = lambda: next(faults)
    promised: list[str] = []
    for life in range(6):
        words = [sys.executable, str(SENDER), proxy.url, BEARER, str(tmp_path / "outbox"), source]
        with subprocess.Popen([*words, f"{life}"], stdout=subprocess.PIPE) as sender:
            assert sender.stdout is not None
            promised += [sender.stdout.readline().decode().strip() for _ in range(5 + 17 * life)]
            sender.kill()
            promised += sender.stdout.read().decode().split("\n")[:-1]
    proxy.plan = lambda: Fault.NONE
    with Feedback(front.url, BEARER, outbox=tmp_path / "outbox") as feedback:
        feedback.flush(DEADLINE_S)
    found = logged()
    assert len(found) == len(set(found))
    assert not set(promised) - set(found)
    assert len(set(found) - set(promised)) <= 6  # taken, but the process died before it could say


def test_a_front_that_restarts_meanwhile_costs_only_time(
    front: Any, record: Any, logged: Any, tmp_path: Path
) -> None:
    with Feedback(front.url, BEARER) as feedback, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(feedback.send_many, [record(n) for n in range(3000)])
        front.stop(9)
        front.start()
        assert all(one.accepted for one in sent.result(DEADLINE_S))
    assert sorted(logged()) == sorted(f"r-{n}" for n in range(3000))


def test_results_are_plain_values(front: Any, record: Any) -> None:
    with Feedback(front.url, BEARER) as feedback:
        assert json.loads(json.dumps(feedback.send(record(1))._asdict()))["code"] == "accepted"
