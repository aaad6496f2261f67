import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from burnish.adapters.process import share_one_heap

if "share" in sys.argv:
    share_one_heap()
all_here = threading.Barrier(5)

def take():
    taken = [bytes(2000) for _ in range(100)]  # too large for Python's own pools
    all_here.wait()
    all_here.wait()

threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads:
    thread.start()
all_here.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
all_here.wait()
"""


def heaps(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.count("<heap ")


def test_threads_that_share_one_heap_have_one() -> None:
    if not sys.platform.startswith("linux") or heaps() < 2:
        pytest.skip("only glibc gives threads their own heaps")
    assert heaps("share") == 1
