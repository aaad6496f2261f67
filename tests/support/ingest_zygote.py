"""Forks ingest processes from one that has imported everything: tests that kill need many.

Reads a line of JSON per process from standard input, answers with its pid.
"""

import os
import signal
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from burnish.adapters.process import die_with_parent
from support.ingest_role import Options, main


class Order(Struct):
    data: str
    port: int
    options: Options


def serve() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends is gone at once
    parent = os.getpid()
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        pid = os.fork()
        if pid == 0:
            run(order, parent)
        print(pid, flush=True)  # noqa: T201


def run(order: Order, parent: int) -> None:
    code = 1
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(Path(order.data) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for handle in (1, 2):
            os.dup2(log, handle)
        main(Path(order.data), order.port, order.options)
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
