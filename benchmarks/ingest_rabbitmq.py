"""Single durable records: the feedback front, and a RabbitMQ quorum queue with confirms.

Our clients are bare sockets with requests made beforehand, so the front is judged by publishers of
that kind; what a library makes of the broker is shown beside. Each begins once the one before has
done what it put off: merges, uploads, segments.
"""

import itertools
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the tests start a broker, too

from kit import amqp, load
from kit.front import Front
from kit.rounds import (
    QUICK_ROUNDS,
    ROUNDS,
    arguments,
    cpu_s_of_group,
    interleaved,
    median,
    ratio,
    rest,
    table,
    verdict,
)

from support.rabbitmq import SERVER, Broker

IN_FLIGHT = 64
READY = 45_000  # records a second that are made beforehand


def main() -> None:
    options = arguments(__doc__ or "")
    if not SERVER.exists():
        print("There is no RabbitMQ to compare with: apt-get install rabbitmq-server")
        return
    rounds, seconds = (QUICK_ROUNDS, 1.0) if options.quick else (ROUNDS, 4.0)
    names = (f"{number:06d}" for number in itertools.count())
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="burnish-bench-") as name:
        folder = Path(name)
        (folder / "broker").mkdir()
        broker, front = Broker(folder / "broker"), Front(folder / "front", "durable")

        def ours() -> float:
            records, took = load.elsewhere(
                what="rate",
                port=front.port,
                run=next(names),
                batch=1,
                clients=IN_FLIGHT,
                seconds=seconds,
                ready=int(READY * seconds),
            )
            front.rest()
            return float(records / took)

        def theirs(connections: int) -> float:
            records, took = amqp.elsewhere(
                what="raw",
                port=broker.port,
                run=next(names),
                connections=connections,
                in_flight=IN_FLIGHT // connections,
                seconds=seconds,
                ready=int(READY * seconds),
            )
            rest(lambda: cpu_s_of_group(broker.process_group))
            return float(records / took)

        def library() -> float:
            records, took = amqp.elsewhere(
                what="aio_pika",
                port=broker.port,
                run=next(names),
                in_flight=IN_FLIGHT,
                seconds=seconds,
            )
            rest(lambda: cpu_s_of_group(broker.process_group))
            return float(records / took)

        try:
            broker.start()
            found = interleaved(
                {
                    "ours": ours,
                    "library": library,
                    "many": lambda: theirs(IN_FLIGHT),
                    "one": lambda: theirs(1),
                },
                rounds=rounds,
            )
        finally:
            front.close()
            broker.close()
    publishers = {
        "library": f"aio-pika on one connection, {IN_FLIGHT} tasks",
        "many": f"{IN_FLIGHT} bare connections, each waiting for its confirm",
        "one": f"one bare connection, {IN_FLIGHT} ahead of its confirms",
    }
    table(
        f"Durable single records, {IN_FLIGHT} in flight; {rounds} rounds of {seconds:g} s, medians",
        [
            ["", "per second", "ours ÷ it"],
            [f"this front, {IN_FLIGHT} clients over HTTP", f"{median(found['ours']):,.0f}", ""],
            *(
                [
                    f"RabbitMQ quorum queue, {text}",
                    f"{median(found[name]):,.0f}",
                    verdict(
                        ratio(found["ours"], found[name]),
                        at_least=1.2 if name == "many" else None,
                    ),
                ]
                for name, text in publishers.items()
            ),
        ],
    )


if __name__ == "__main__":
    main()
