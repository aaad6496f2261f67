"""Artifacts on local disk, so that a replica starts without the object store."""

from collections.abc import Collection
from pathlib import Path

from burnish.adapters.crash import crash_point
from burnish.adapters.files import make_folder, write_durably
from burnish.kernel.digest import digest, hexadecimal
from burnish.kernel.objects import Objects
from burnish.releases.assignment import ArtifactRef


class ArtifactCache:
    """The artifacts that a replica was told to hold, one file each, named by digest."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        self._objects = objects
        self._folder = folder
        make_folder(folder)

    def fetch(self, artifact: ArtifactRef) -> bytes:
        """Return the bytes from disk if they are there and whole, else from the object store.

        What the store hands out is kept only if it has the digest; it is returned either way, and
        the caller judges it. Raises what the object store raises.
        """
        path = self._path(artifact)
        if path.exists():
            data = path.read_bytes()
            if digest(data) == artifact.sha256:
                return data
        data = self._objects.get(artifact.key)
        if digest(data) == artifact.sha256:
            crash_point("artifact.before_keep")
            write_durably(path, data)
            crash_point("artifact.after_keep")
        return data

    def keep_only(self, artifacts: Collection[ArtifactRef]) -> None:
        """Delete the files of all other artifacts."""
        wanted = {self._path(artifact) for artifact in artifacts}
        for path in self._folder.iterdir():
            if path not in wanted:
                path.unlink(missing_ok=True)

    def _path(self, artifact: ArtifactRef) -> Path:
        return self._folder / f"{hexadecimal(artifact.sha256)}.onnx"
