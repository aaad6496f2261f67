"""A worker's gathering as it is wired: from settings, environment and policy to a dataset."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from burnish import config
from burnish.adapters.gathering import Gathering
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sources.places import SourceFailed
from burnish.adapters.system import utc_now
from burnish.bootstrap.following import Follower
from burnish.bootstrap.gathering import gathering
from burnish.bootstrap.house import House
from burnish.datasets.reading import SerialReader
from burnish.datasets.service import DatasetService
from burnish.feedback.parse import record_of
from burnish.feedback.service import project
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy
from support.http_server import HttpServer, QuietHandler
from support.persisting import persist
from support.photos import photo
from support.world import record

ROWS = 30
POLICY = '''
name = "laundry"
kind = "image-classification"
labels = ["good", "defect"]
[dataset]
holdout = 5
[payload]
allow = ["{host}"]
[sources.tasks]
database = "shop-floor"
query = """SELECT id, id AS subject_id, said AS final, 'kim' AS actor,
  '2026-05-01' AS occurred_at, url AS payload FROM judged"""
watermark = "id"
key = "id"
'''


class Photos(QuietHandler):
    def answer(self) -> None:
        self.reply(200, photo(int(self.path.strip("/"))))


@pytest.fixture
def web() -> Iterator[HttpServer]:
    server = HttpServer(Photos)
    yield server
    server.close()


@pytest.fixture
def shop(tmp_path: Path, web: HttpServer) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE judged (id INTEGER PRIMARY KEY, said TEXT, url TEXT)")
        rows = [(n, ("good", "defect")[n % 2], f"{web.url}/{n}") for n in range(ROWS)]
        database.executemany("INSERT INTO judged VALUES (?, ?, ?)", rows)
    database.close()
    return path


@pytest.fixture
def house(
    tmp_path: Path, web: HttpServer, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    data = tmp_path / "data"
    (data / "models").mkdir(parents=True)
    host = f"127.0.0.1:{web.port}"
    (data / "models" / "laundry.toml").write_text(POLICY.format(host=host))
    monkeypatch.setenv("BURNISH_SOURCE_SHOP_FLOOR", f"sqlite:///{shop}")
    made = House.open(config.load(data, {"payloads.private_hosts": f"x, {host}"}, {}), "worker")
    yield made
    made.close()


def wired(house: House) -> tuple[Gathering, RawLogReader, ModelPolicy]:
    log = RawLogReader(house.objects, house.engine)
    with house.view() as view:
        policy = view.models.get("laundry").policy
    return gathering(house, log, lambda: project(log, house.unit, record_of)), log, policy


def test_rows_and_their_photos_become_a_dataset(house: House) -> None:
    gatherer, log, policy = wired(house)
    offsets = dict(gatherer.for_run(policy))
    assert offsets == {"sql.laundry.tasks": ROWS}
    service = DatasetService(
        raw_log=log,
        reader=SerialReader(log, record_of),
        objects=house.objects,
        units=house.unit,
        clock=utc_now,
    )
    dataset = service.build(policy, offsets)
    assert len(list(service.rows(dataset))) == ROWS
    assert dataset.left_out == {}
    _, tasks = service.manifest(dataset).sources
    assert (tasks.kind, tasks.name, tasks.records) == ("sql", "tasks", ROWS)
    assert (tasks.watermark, tasks.key) == (str(ROWS - 1), str(ROWS - 1))


def test_a_worker_looks_by_itself_so_that_triggers_know(house: House) -> None:
    gatherer, log, policy = wired(house)
    while gatherer.gather(policy):
        pass
    assert log.end() == {"sql.laundry.tasks": ROWS}
    with house.view() as view:
        uris = {str(one.payload) for one in view.feedback.newest(model="laundry", limit=100)}
        assert len(view.payloads.fetched(uris)) == ROWS


def test_what_was_looked_at_is_counted_at_the_next_look_not_when_the_model_s_turn_comes(
    house: House,
) -> None:
    gatherer, _, policy = wired(house)
    told: list[str] = []
    follower = Follower(house, lambda: told.append("look at the inputs"))

    def counted() -> tuple[int, str]:
        follower.look()
        with house.view() as view:
            latest = view.decisions.latest(policy.name)
        assert latest is not None
        return latest.corrections, latest.reason

    for number in range(2):
        data = photo(number)
        house.objects.put(payload_key(digest(data)), data)
    named = (digest(photo(number)) for number in range(2))
    persist(house, *(record(one, payload=f"burnish:{one}", actor=one) for one in named))
    corrections, why = counted()
    assert corrections == 0
    assert why.endswith("2 records did not count: 2 not looked at yet")
    assert told == ["look at the inputs"]
    while gatherer.look(policy):
        pass
    assert counted() == (2, "2 of 100 corrections, never trained")
    assert len(told) == 1


def test_a_source_that_is_down_fails_the_run_but_not_the_worker(house: House, shop: Path) -> None:
    gatherer, log, policy = wired(house)
    shop.unlink()
    gatherer.gather(policy)
    with pytest.raises(SourceFailed, match=r"Source 'tasks' of laundry \(database 'shop-floor'\)"):
        gatherer.for_run(policy)
    assert log.end() == {}
