"""Disks of the tests' own: one that loses power, one that is full."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

_SHUTDOWN: Final = 0x8004587D  # EXT4_IOC_SHUTDOWN
_NO_LOG_FLUSH: Final = 2
_DISK_BYTES: Final = 96 << 20


class LoopDisk:
    """An ext4 on a file, whose power may be cut."""

    def __init__(self, image: Path, folder: Path) -> None:
        self._image, self.folder = image, folder
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(_DISK_BYTES)
        run("mkfs.ext4", "-q", str(image))
        self.mount()

    def mount(self) -> None:
        # What is not synced stays in memory: the journal commits by itself only after so long.
        run("mount", "-o", "loop,commit=300", str(self._image), str(self.folder))

    def unmount(self) -> None:
        run("umount", str(self.folder))

    def cut_power(self) -> None:
        """Stop the disk at once; nothing that waits in memory is written, not even the journal."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(handle)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


@pytest.fixture
def loop_disk(tmp_path: Path) -> Iterator[LoopDisk]:
    """A disk whose power may be cut; the test skips where there can be none."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("an ext4 of our own needs root and mkfs.ext4 (e2fsprogs)")
    try:
        disk = LoopDisk(tmp_path / "disk.img", tmp_path / "disk")
    except OSError as error:
        pytest.skip(f"no loop device here: {error}")
    yield disk
    disk.unmount()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Make a file system of so many bytes; the test skips where it cannot."""
    made: list[Path] = []

    def make(size: int) -> Path:
        folder = tmp_path / f"small-{len(made)}"
        folder.mkdir()
        if os.geteuid() != 0:
            pytest.skip("a small tmpfs needs root")
        try:
            run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
        except OSError as error:
            pytest.skip(f"no tmpfs here: {error}")
        made.append(folder)
        return folder

    yield make
    for folder in made:
        run("umount", str(folder))
