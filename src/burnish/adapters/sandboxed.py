"""The program inside the sandbox: load the artifact, wait for the word, answer, say what it took.

`python -m burnish.adapters.sandboxed <parent pid> <threads>`, in a folder with the artifact and the
photos. One JSON line on standard output is all that leaves it.
"""

import ctypes
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from burnish.adapters.onnx import OnnxEngine
from burnish.adapters.process import die_with_parent
from burnish.adapters.sandbox import ARTIFACT, CROWD, PHOTOS
from burnish.evaluation.model import Performance
from burnish.kernel.inference import ArtifactRejected, LoadedModel

REQUESTS: Final = 1000  # at most, one at a time
LEAST: Final = 20  # at least, however slow
LATENCY_S: Final = 1.0  # for the requests one at a time
THROUGHPUT_S: Final = 0.7  # for as many at a time as there are cores
WARM_UPS: Final = 3

_MIB: Final = 1024**2
_LIMITS: Final = {
    resource.RLIMIT_AS: 8 * 1024 * _MIB,  # address space, of which the runtimes reserve much
    resource.RLIMIT_CPU: 120,  # seconds, of all threads
    resource.RLIMIT_NOFILE: 256,
    resource.RLIMIT_FSIZE: _MIB,  # for last words
    resource.RLIMIT_CORE: 0,
}
_CLONE_NEWNET: Final = 0x40000000  # from <linux/sched.h>
_Z95: Final = 1.96


def main() -> None:
    """Run one trial."""
    if not die_with_parent(int(sys.argv[1])):
        return
    for limit, value in _LIMITS.items():
        _, hard = resource.getrlimit(limit)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (most, most))
    # Without root the kernel refuses, and the report says that there was a network.
    network = ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0
    sys.stdout.buffer.write(msgspec.json.encode(_trial(int(sys.argv[2]), network=network)))


def _trial(threads: int, *, network: bool) -> Performance:
    photos = np.load(PHOTOS)
    began = time.perf_counter()
    try:
        model = OnnxEngine(threads=threads).load(Path(ARTIFACT).read_bytes())
    except ArtifactRejected as error:
        return Performance(network=network, failure=error.detail)
    loaded = time.perf_counter() - began
    single = [photo[np.newaxis] for photo in photos]
    for photo in single[:WARM_UPS]:
        model.predict(photo)
    word = sys.stdin.buffer.readline()
    took = _one_at_a_time(model, single)
    callers = len(os.sched_getaffinity(0))
    throughput = _many_at_a_time(model, single, callers) if word == CROWD else 0.0
    mean, half = took.mean(), _Z95 * took.std(ddof=1) / len(took) ** 0.5
    p50, p95, p99 = np.percentile(took, (50, 95, 99))
    return Performance(
        requests=len(took),
        mean_ms=float(mean),
        low_ms=float(mean - half),
        high_ms=float(mean + half),
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
        throughput=throughput,
        callers=callers,
        memory_mb=_peak_memory_mb(),
        load_seconds=loaded,
        network=network,
    )


def _one_at_a_time(model: LoadedModel, photos: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return the milliseconds that each request took."""
    took: list[float] = []
    began, turn = time.perf_counter(), cycle(photos)
    while len(took) < LEAST or (len(took) < REQUESTS and time.perf_counter() - began < LATENCY_S):
        photo, before = next(turn), time.perf_counter()
        model.predict(photo)
        took.append((time.perf_counter() - before) * 1000)
    return np.array(took)


def _many_at_a_time(model: LoadedModel, photos: list[NDArray[np.uint8]], callers: int) -> float:
    """Return the requests a second that so many callers get answered together."""
    began = time.perf_counter()

    def call(_: int) -> int:
        answered, turn = 0, cycle(photos)
        while time.perf_counter() - began < THROUGHPUT_S:
            model.predict(next(turn))
            answered += 1
        return answered

    with ThreadPoolExecutor(callers) as pool:
        answered = sum(pool.map(call, range(callers)))
    return answered / (time.perf_counter() - began)


def _peak_memory_mb() -> float:
    """Return this program's own peak; what `getrusage` says begins with our parent's."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM")


if __name__ == "__main__":
    main()
