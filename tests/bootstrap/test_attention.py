"""The threads that attend to feedback: what comes is looked at and counted, whatever fails."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from burnish import config
from burnish.bootstrap.attention import Attention
from burnish.bootstrap.house import House
from burnish.bootstrap.repeating import Repeating
from burnish.kernel.audit import SYSTEM
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy, parse_policy
from burnish.models.service import apply_policy
from support.persisting import persist
from support.photos import photo
from support.plane import POLICY
from support.world import record

DEADLINE_S = 30
NEVER_S = 3600.0


def wait_until(told: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House.open(config.load(tmp_path, environ={}), "worker")
    for name in ("curtains", "laundry"):
        policy = parse_policy(POLICY.replace("laundry", name))
        apply_policy(made.unit(), policy, expected=None, actor=SYSTEM)
    yield made
    made.close()


def test_a_photo_is_looked_at_and_counted_soon_though_another_model_s_look_fails(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention = Attention(house)
    really = attention.gathering.look

    def look(policy: ModelPolicy) -> bool:
        if policy.name == "curtains":
            raise OSError("no luck")
        return really(policy)

    monkeypatch.setattr(attention.gathering, "look", look)
    attention.start()
    for number in range(3):
        house.objects.put(payload_key(digest(photo(number))), photo(number))
        uri = f"burnish:{digest(photo(number))}"
        persist(house, record(f"s{number}", payload=uri, actor=f"person-{number}"))

    def counted() -> bool:
        with house.view() as view:
            latest = view.decisions.latest("laundry")
        return latest is not None and latest.reason == "3 of 100 corrections, never trained"

    wait_until(counted)
    attention.stop()


def test_a_look_is_repeated_though_it_fails_sooner_if_woken_and_not_after_the_end() -> None:
    looks: list[int] = []
    seen = threading.Event()

    def look() -> None:
        looks.append(len(looks))
        seen.set()
        raise OSError("no luck")

    repeating = Repeating("test", NEVER_S, look)
    repeating.start()
    for _ in range(2):
        assert seen.wait(DEADLINE_S)
        seen.clear()
        repeating.wake()
    assert seen.wait(DEADLINE_S)
    repeating.end()
    repeating.join(DEADLINE_S)
    assert looks == [0, 1, 2]
