"""Everybody at once, and a clock that cannot be trusted: each identity is kept once, in order."""

import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import zstandard

from support import raw_reader
from support.intake import DEADLINE_S, Intake, encode

CLIENTS = 64
RECORDS = 40
HOT = 16  # identities in memory: most of a test's are in sorted runs

Answers = list[tuple[int, dict[str, Any]]]


def together(intake: Intake, bodies: Callable[[int], list[bytes]]) -> list[Answers]:
    """Let every client send its bodies, all of them at the same moment; return their answers."""
    barrier = threading.Barrier(CLIENTS)
    given: list[Answers] = [[] for _ in range(CLIENTS)]

    def send(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", intake.port, timeout=DEADLINE_S)
        connection.connect()
        barrier.wait(DEADLINE_S)
        for body in bodies(client):
            connection.request("POST", "/v1/feedback", body, intake.headers)
            response = connection.getresponse()
            given[client].append((response.status, json.loads(response.read())))
        connection.close()

    threads = [threading.Thread(target=send, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    return given


def raw_log(intake: Intake) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of each object, by key, in the order of offsets."""
    found = {}
    for key, data in raw_reader.local(intake.data / "objects"):
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            found[key] = [json.loads(line) for line in reader.read().splitlines()]
    return dict(sorted(found.items(), key=lambda item: int(item[1][0]["offset"])))


def all_lines(intake: Intake) -> list[dict[str, Any]]:
    lines = [line for lines in raw_log(intake).values() for line in lines]
    assert [line["offset"] for line in lines] == list(range(len(lines)))
    return lines


def quarantined(data: Path) -> list[dict[str, Any]]:
    files = (data / "objects" / "quarantine").rglob("*.ndjson")
    return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]


def test_a_storm_of_duplicates_is_accepted_once_and_told_so(
    make_intake: Callable[..., Intake],
) -> None:
    # Given 64 clients that all send the same records, each in an order of its own.
    intake = make_intake(hot=HOT, seal_seconds=0.2)
    intake.start()
    records = {f"r-{number}": encode(f"r-{number}") for number in range(RECORDS)}

    def shuffled(client: int) -> list[bytes]:
        return random.Random(client).sample(list(records.values()), RECORDS)

    # When they do it together, and again after a start.
    storm = [one for answers in together(intake, shuffled) for one in answers]
    intake.seal()
    intake.kill()
    intake.start()
    again = [one for answers in together(intake, shuffled) for one in answers]
    intake.seal()

    # Then each was accepted once, the others heard of a duplicate and of the same place.
    assert {status for status, _ in storm} == {200, 202}
    accepted = {answer["id"]: answer["offset"] for status, answer in storm if status == 202}
    assert sum(status == 202 for status, _ in storm) == len(accepted) == RECORDS
    assert {status for status, _ in again} == {200}
    for status, answer in (*storm, *again):
        assert answer["duplicate"] == (status == 200)
        assert answer["offset"] == accepted[answer["id"]]
    lines = all_lines(intake)
    assert len(lines) == RECORDS
    assert {line["id"]: line["body"].encode() for line in lines} == records


def test_of_many_bodies_for_one_identity_one_is_kept_and_the_others_are_quarantined(
    make_intake: Callable[..., Intake],
) -> None:
    # Given 64 clients, each with a verdict of its own under the same few identities.
    intake = make_intake(hot=HOT)
    intake.start()
    names = [f"r-{number}" for number in range(5)]

    def own(client: int) -> list[bytes]:
        return [encode(name, actor=f"actor-{client}") for name in names]

    # When they send them together.
    answers = together(intake, own)
    sent = {
        name: [own(client)[at].decode() for client in range(CLIENTS)]
        for at, name in enumerate(names)
    }

    # Then each identity has one body, the client's that was told so, and 63 conflicts.
    kept: dict[str, str] = {}
    for at, name in enumerate(names):
        statuses = Counter(given[at][0] for given in answers)
        assert statuses == {202: 1, 409: CLIENTS - 1}
        winner = next(client for client in range(CLIENTS) if answers[client][at][0] == 202)
        kept[name] = sent[name][winner]
        assert {given[at][1]["code"] for given in answers if given[at][0] == 409} == {
            "feedback.conflict"
        }

    # And it stays so for old records, after a start.
    for number in range(2 * HOT):
        assert intake.send(100 + number)[0] == 202
    intake.seal()
    intake.kill()
    intake.start()
    assert intake.call("POST", "/v1/feedback", encode("r-0", actor="late"))[0] == 409
    intake.seal()
    intake.end()
    lines = all_lines(intake)
    assert {line["id"]: line["body"] for line in lines if line["id"] in kept} == kept
    assert len({line["id"] for line in lines}) == len(lines) == len(names) + 2 * HOT
    refused = Counter(line["body"] for line in quarantined(intake.data))
    losers = [body for name in names for body in sent[name] if body != kept[name]]
    assert refused == Counter([*losers, encode("r-0", actor="late").decode()])


def test_a_clock_that_jumps_both_ways_costs_neither_order_nor_records(
    make_intake: Callable[..., Intake],
) -> None:
    # Given a clock that jumps over hours and a day, forth and back.
    jumps = [0.0, 7200.0, -7200.0, 0.0, 90_000.0, -90_000.0]
    intake = make_intake(hot=HOT, clock_jumps=jumps)
    intake.start()

    # When records come in, each in a group of its own.
    for number in range(24):
        assert intake.send(number)[1]["offset"] == number
    lag = intake.metric("burnish_ingestion_lag_seconds")
    persisted = intake.seal()

    # Then the lag is counted by another clock, and the log is in the order of arrival.
    assert 0 <= lag < DEADLINE_S
    assert persisted == 24
    lines = all_lines(intake)
    assert [line["id"] for line in lines] == [f"r-{number}" for number in range(24)]
    times = [datetime.fromisoformat(line["received_at"]) for line in lines]
    assert times != sorted(times)

    # And each object lies in the folder of the hour in which all of its records came.
    for key, found in raw_log(intake).items():
        (hour,) = {line["received_at"][:13] for line in found}
        assert key.rpartition("/")[0] == f"raw/dt={hour[:10]}/hh={hour[11:]}/0"
    assert intake.metric("burnish_ingestion_lag_seconds") == 0

    # And a copy is known as such, whatever the hour.
    intake.kill()
    intake.start()
    assert [intake.send(number)[0] for number in range(24)] == [200] * 24
