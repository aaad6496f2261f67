"""Journeys, the quarantine and its replay: control beside a real ingest process."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from burnish import __version__
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.system import utc_now
from burnish.client.http import Http
from burnish.datasets.reading import SerialReader
from burnish.datasets.service import DatasetService
from burnish.feedback.parse import record_of
from burnish.feedback.service import project
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from support.estate import Estate
from support.plane import POLICY

WITH_UGLY = POLICY.replace('"defect"', '"defect", "ugly"')


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


class World(Estate):
    """An estate, and what is asked of its quarantine and journeys."""

    def send(self, *records: dict[str, Any]) -> list[int]:
        body = b"\n".join(encoded(one) for one in records)
        answer = self.ingest.post("/v1/feedback/batch", body, content_type="application/x-ndjson")
        return [one["status"] for one in answer.json()["results"]]

    def project(self) -> None:
        self.ingest.post("/v1/seal")
        project(RawLogReader(self.house.objects, self.house.engine), self.house.unit, record_of)

    def open(self, **query: str) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/v1/quarantine", params=query).json()["items"])

    def journey(self, id_: str, source: str = "app") -> Any:
        path = f"/v1/feedback/{quote(id_, safe='')}/journey"
        return self.ask("GET", path, params={"source": source}).json()

    def replay(self, **said: Any) -> Any:
        answer = self.ask("POST", "/v1/quarantine/replay", json={"reason": "mended"} | said)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module", name="world")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    with world.client:
        assert world.apply().status_code == 200
        world.start()
        yield world
        world.stop()
    world.ingest.close()
    world.house.close()


@pytest.fixture(name="made")
def _made(world: World, request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """Make a record of a source that is this test's own, on a photo that is there."""
    source = str(request.node.name)

    def made(number: int, **changes: Any) -> dict[str, Any]:
        photo = f"{source} {number}".encode()
        world.house.objects.put(payload_key(digest(photo)), photo)
        return {
            "source": source,
            "id": f"r-{number}",
            "model": "laundry",
            "subject_id": f"{source}-{number}",
            "predicted": "good" if number % 2 else "defect",
            "final": "defect" if number % 2 else "good",
            "corrected": True,
            "actor": "kim",
            "occurred_at": "2026-05-01T10:00:00Z",
            "payload": f"burnish:{digest(photo)}",
        } | changes

    return made


def test_a_journey_goes_from_the_spool_to_the_dataset(
    world: World, made: Callable[..., dict[str, Any]]
) -> None:
    source = made(0)["source"]
    assert world.send(*map(made, range(40))) == [202] * 40
    early = world.journey("r-3", source)
    assert (early["stage"], early["received"]["persisted"]) == ("received", False)

    world.ingest.post("/v1/seal")
    persisted = world.journey("r-3", source)
    assert persisted["stage"] == "persisted"
    assert persisted["received"]["subject"] == f"{source}-3"

    world.project()
    assert world.journey("r-3", source) == persisted

    raw_log = RawLogReader(world.house.objects, world.house.engine)
    service = DatasetService(
        raw_log=raw_log,
        reader=SerialReader(raw_log, record_of),
        objects=world.house.objects,
        units=world.house.unit,
        clock=utc_now,
        tools={"burnish": __version__},
    )
    with world.house.view() as view:
        policy = view.models.get("laundry").policy
    first = service.build(policy, raw_log.end())
    built = world.journey("r-3", source)
    assert built["stage"] == "in_dataset"
    (only,) = built["datasets"]
    assert only["dataset"] == first.id
    assert only["split"] in {"train", "validation", "holdout"}

    later = made(3, id="r-3b", occurred_at="2026-05-02T10:00:00Z", final="good", corrected=False)
    assert world.send(later) == [202]
    world.project()
    second = service.build(policy, raw_log.end())
    superseded = world.journey("r-3", source)
    assert superseded["stage"] == "left_out"
    assert [(one["dataset"], one["reason"]) for one in superseded["datasets"]] == [
        (first.id, None),
        (second.id, "superseded"),
    ]
    assert [one["dataset"] for one in world.journey("r-3b", source)["datasets"]] == [second.id]


def test_nobody_knows_a_record_that_was_never_sent(
    world: World, made: Any, problem: Callable[..., Any]
) -> None:
    path = "/v1/feedback/nope/journey"
    problem(world.ask("GET", path, params={"source": "app"}), 404, "feedback.unknown")
    problem(world.ask("GET", path), 400, "request.malformed")
    problem(world.ask("GET", "/v1/feedback/nope/else", params={"source": "a"}), 404, "not_found")


@pytest.mark.parametrize("id_", ["a/b", "//", "ä ö?&%2F", "x/journey"])
def test_an_id_may_hold_anything(world: World, made: Any, id_: str) -> None:
    record = made(1, id=id_)
    world.send(record)
    assert world.journey(id_, record["source"])["stage"] == "received"
    world.project()
    assert world.journey(id_, record["source"])["received"]["persisted"]


def test_the_newest_corrections_are_listed_and_then_what_follows(world: World, made: Any) -> None:
    world.send(*map(made, range(5)))
    world.project()
    page = world.ask("GET", "/v1/corrections", params={"limit": 3, "model": "laundry"}).json()
    assert [one["id"] for one in page["items"]] == ["r-2", "r-3", "r-4"]
    again = world.ask("GET", "/v1/corrections", params={"after": page["next"]}).json()
    assert again == {"items": [], "next": page["next"]}
    world.send(*map(made, range(5, 9)))
    world.project()
    seen: list[str] = []
    cursor = page["next"]
    for _ in range(3):
        page = world.ask("GET", "/v1/corrections", params={"after": cursor, "limit": 3}).json()
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
    assert seen == ["r-5", "r-6", "r-7", "r-8"]
    assert world.ask("GET", "/v1/corrections", params={"after": "x"}).status_code == 422


def test_what_was_refused_is_replayed_once_its_cause_is_mended(
    world: World, made: Any, problem: Callable[..., Any]
) -> None:
    source = made(0)["source"]
    event = {
        "specversion": "1.0",
        "type": "burnish.feedback.v1",
        "id": "ä/1",
        "source": source,
        "data": {
            name: value
            for name, value in made(100, final="ugly").items()
            if name not in {"id", "source"}
        },
    }
    assert (
        world.send(made(1, final="ugly"), made(2, final="ugly"), made(3, final="odd")) == [422] * 3
    )
    with Http(world.ingest.url, world.house.secrets.admin_token) as http:
        for headers, body in (
            ({"Content-Type": "application/cloudevents+json"}, event),
            (
                {
                    "Content-Type": "application/json",
                    "ce-specversion": "1.0",
                    "ce-type": "burnish.feedback.v1",
                    "ce-id": quote("ö 2"),
                    "ce-source": source,
                },
                event["data"],
            ),
        ):
            with pytest.raises(Exception, match="unknown_label"):
                http.request("POST", "/v1/feedback", encoded(body), headers)
    world.until(lambda: len(world.open(code="unknown_label")) == 5)

    entry = world.open(code="unknown_label", model="laundry", limit="1")[0]
    shown = world.ask("GET", f"/v1/quarantine/{entry['id']}").json()
    assert (shown["record_id"], shown["ce"]["id"]) == ("ö 2", "ö 2")
    assert '"ugly"' in shown["body"]
    assert world.journey("r-1", source)["stage"] == "quarantined"
    assert world.journey("r-1", source)["quarantined"][0]["code"] == "unknown_label"
    (count,) = [
        one
        for one in world.ask("GET", "/v1/quarantine/counts").json()["items"]
        if one["code"] == "unknown_label"
    ]
    assert (count["model"], count["entries"], count["state"]) == ("laundry", 5, "open")
    problem(world.ask("GET", "/v1/quarantine/nope"), 404, "quarantine.not_found")

    assert world.replay(code="unknown_label", dry_run=True)["counts"] == {"unknown_label": 5}
    assert world.replay(code="unknown_label")["counts"] == {"unknown_label": 5}
    assert world.open(code="unknown_label")[0]["replays"] == 1

    revision = world.ask("GET", "/v1/models/laundry").headers["etag"]
    assert world.apply(WITH_UGLY, **{"If-Match": revision}).status_code == 200
    assert world.replay(code="unknown_label", dry_run=True)["counts"] == {
        "unknown_label": 1,
        "would_accept": 4,
    }
    first = world.replay(code="unknown_label", limit=2)
    assert (len(first["results"]), first["remaining"], first["next"] is None) == (2, 3, False)
    rest = world.replay(code="unknown_label", after=first["next"])
    assert rest["counts"] == {"accepted": 2, "unknown_label": 1}
    assert [one["record_id"] for one in world.open(code="unknown_label")] == ["r-3"]
    assert world.replay(ids=[entry["id"]])["results"] == []
    world.project()
    assert {one.id for one in world.raw_log() if one.source == source} == {
        "r-1",
        "r-2",
        "ä/1",
        "ö 2",
    }
    assert world.journey("ä/1", source)["stage"] == "persisted"
    assert world.journey("ä/1", source)["quarantined"][0]["state"] == "accepted"
    audited = world.ask("GET", "/v1/audit").json()["items"]
    row = next(one for one in audited if one["action"] == "quarantine.replayed")
    assert row["actor"] == "admin"
    assert row["reason"] == "mended"
    assert row["subject"] == "quarantine:code=unknown_label"
    assert row["after"]["counts"] == {"accepted": 2, "unknown_label": 1}


def test_a_replay_that_is_refused_anew_leaves_one_open_entry_with_the_new_reason(
    world: World, made: Any
) -> None:
    record = made(1)
    other = record | {"reason": "another body"}
    assert world.send(record, other) == [202, 409]
    (entry,) = world.until(lambda: world.open(code="feedback.conflict"))
    assert world.replay(ids=[entry["id"]])["results"][0]["state"] == "moved"
    world.until(lambda: [one["id"] for one in world.open(code="feedback.conflict")] != [])
    world.until(lambda: entry["id"] not in {one["id"] for one in world.open()})
    (newer,) = world.until(lambda: world.open(code="feedback.conflict"))
    assert newer["record_id"] == "r-1"


def test_an_entry_that_is_not_there_is_not_replayed(
    world: World, made: Any, problem: Callable[..., Any]
) -> None:
    world.send(made(1, final="odd3"))
    (entry,) = world.until(
        lambda: [one for one in world.open() if one["source"] == made(1)["source"]]
    )
    asked = {"reason": "mended", "ids": [entry["id"], "99999999"]}
    refused = world.ask("POST", "/v1/quarantine/replay", json=asked)
    assert "'99999999'" in problem(refused, 404, "quarantine.not_found")["detail"]
    assert world.ask("GET", f"/v1/quarantine/{entry['id']}").json()["replays"] == 0


def test_lines_that_were_kept_whole_are_replayed_as_lines(world: World, made: Any) -> None:
    def refuse(body: bytes, content_type: str = "application/x-ndjson") -> Any:
        before = {one["id"] for one in world.open()}
        headers = {"Content-Type": content_type, "Content-Encoding": "br"}
        with (
            Http(world.ingest.url, world.house.secrets.admin_token) as http,
            pytest.raises(Exception, match="request\\.encoding"),
        ):
            http.request("POST", "/v1/feedback/batch", body, headers)
        (new,) = world.until(lambda: [one for one in world.open() if one["id"] not in before])
        return new

    source = made(0)["source"]
    good = refuse(b"\n".join(encoded(made(number)) for number in range(2)))
    (done,) = world.replay(ids=[good["id"]])["results"]
    assert (done["state"], done["code"], done["detail"]) == (
        "accepted",
        "accepted",
        "2 of 2 records are accepted.",
    )
    world.project()
    assert sorted(one.id for one in world.raw_log() if one.source == source) == ["r-0", "r-1"]

    mixed = refuse(encoded(made(1)) + b"\n" + encoded(made(2, final="odd")))
    (done,) = world.replay(ids=[mixed["id"]])["results"]
    assert (done["state"], done["code"]) == ("moved", "unknown_label")
    assert done["detail"].startswith(
        "1 of 2 records are accepted; record 1, from 0: final is 'odd'"
    )
    world.until(lambda: [one for one in world.open() if one["source"] == source])

    noise = refuse(b'{"\xff": "\xff"}\x80\n\n7\n{"\xff": "\xff"}')
    other = refuse(b'[{"\xff": "\xff"}]', "application/cloudevents-batch+json")
    for done in world.replay(ids=[noise["id"], other["id"]])["results"]:
        assert (done["state"], done["code"]) == ("open", "malformed_feedback_event")
    shown = world.ask("GET", f"/v1/quarantine/{noise['id']}").json()
    assert (shown["code"], shown["first_code"]) == ("malformed_feedback_event", "request.encoding")
    assert (shown["content_encoding"], "gzip, zstd" in shown["first_detail"]) == ("br", True)


def test_a_replay_leaves_alone_what_it_has_just_made(world: World, made: Any) -> None:
    records = [made(number) for number in range(3)]
    assert world.send(*records) == [202] * 3
    assert world.send(*(one | {"reason": "another"} for one in records)) == [409] * 3
    source, conflicts = records[0]["source"], "feedback.conflict"

    def mine() -> list[Any]:
        return [one for one in world.open(code=conflicts) if one["source"] == source]

    before = {one["id"] for one in world.until(lambda: len(mine()) == 3 and mine())}
    others = len(world.open(code=conflicts)) - 3
    tried: list[str] = []
    after = None
    while True:
        done = world.replay(code=conflicts, limit=1, after=after)
        tried += [one["id"] for one in done["results"]]
        assert len(tried) + done["remaining"] == 3 + others
        if (after := done["next"]) is None:
            break
        world.until(lambda: len(world.open(code=conflicts)) == 3 + others)  # the new one is noted
    assert before <= set(tried)
    assert len(tried) == 3 + others
    world.until(lambda: len(mine()) == 3 and not before & {one["id"] for one in mine()})


def test_without_ingest_nothing_is_lost_and_it_is_said(
    world: World, made: Any, problem: Callable[..., Any]
) -> None:
    world.send(made(1, final="odd2"), made(2))
    (entry,) = world.until(
        lambda: [one for one in world.open() if one["source"] == made(1)["source"]]
    )
    world.stop()
    revision = world.ask("GET", "/v1/models/laundry").headers["etag"]
    policy = WITH_UGLY.replace('"ugly"', '"ugly", "odd2"')
    assert world.apply(policy, **{"If-Match": revision}).status_code == 200
    done = world.replay(ids=[entry["id"]])
    assert done["results"] == []
    assert "Ingest takes nothing now" in done["stopped"]
    unknown = world.ask("GET", "/v1/feedback/r-9/journey", params={"source": "app"})
    assert "ingest, which may hold it" in problem(unknown, 503, "unavailable")["detail"]
    assert world.journey("r-1", made(1)["source"])["stage"] == "quarantined"
    world.start()
    assert world.replay(ids=[entry["id"]])["counts"] == {"accepted": 1}


def test_the_journeys_path_is_described_as_it_is_asked(world: World) -> None:
    paths = world.ask("GET", "/v1/openapi.json").json()["paths"]
    names = {one["name"] for one in paths["/v1/feedback/{id}/journey"]["get"]["parameters"]}
    assert names == {"id", "source"}
