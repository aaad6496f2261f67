import io
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.trainers.weights import UntrustedWeights, parse, read

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
KERNEL = np.arange(6, dtype="<f4")
COUNT = np.array([9], dtype="<i8")


def _rebuild_tensor_v2(*parts: object) -> object:
    return parts


class FloatStorage:
    pass


class LongStorage:
    pass


class Tensor:
    """Pickles as PyTorch's tensors do: a call that rebuilds it from a named storage."""

    def __init__(self, storage: tuple[Any, ...], offset: Any, shape: Any, stride: Any) -> None:
        self.parts = (storage, offset, shape, stride)

    def __reduce__(self) -> tuple[Any, ...]:
        storage, *layout = self.parts
        return _rebuild_tensor_v2, (Storage(storage), *layout, False, OrderedDict())


class Storage:
    def __init__(self, reference: tuple[Any, ...]) -> None:
        self.reference = reference


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        return obj.reference if isinstance(obj, Storage) else None


class Runs:
    """A pickle that would write a file when it is read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.target, "the pickle ran")


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the pickler write PyTorch's names, which are all that a file holds of PyTorch."""
    for name, members in {
        "torch": (FloatStorage, LongStorage),
        "torch._utils": (_rebuild_tensor_v2,),
    }.items():
        module = ModuleType(name)
        for member in members:
            setattr(module, member.__name__, member)
            monkeypatch.setattr(member, "__module__", name)
        monkeypatch.setitem(sys.modules, name, module)


def floats(length: int = 6) -> tuple[Any, ...]:
    return ("storage", FloatStorage, "k", "cpu", length, None)


def kernel(offset: Any = 0, shape: Any = (2, 3), stride: Any = (3, 1)) -> Tensor:
    return Tensor(floats(), offset, shape, stride)


def weights_file(
    tensors: object, *, magic: object = MAGIC, keys: tuple[str, ...] = ("k",)
) -> bytes:
    stream = io.BytesIO()
    for part in (magic, PROTOCOL, {"little_endian": True}, tensors, list(keys)):
        Pickler(stream, protocol=2).dump(part)
    stream.write(len(KERNEL).to_bytes(8, "little") + KERNEL.tobytes())
    if "n" in keys:
        stream.write(len(COUNT).to_bytes(8, "little") + COUNT.tobytes())
    return stream.getvalue()


def test_tensors_come_out_as_they_were_stored() -> None:
    longs = Tensor(("storage", LongStorage, "n", "cpu", 1, None), 0, (), ())
    found = parse(
        weights_file(
            OrderedDict(plain=kernel(), turned=kernel(0, (3, 2), (1, 3)), count=longs),
            keys=("k", "n"),
        )
    )
    assert found["plain"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (found["count"].shape, int(found["count"])) == ((), 9)


def test_a_file_that_names_anything_else_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    with pytest.raises(UntrustedWeights, match=r"asks for .*: only plain tensors"):
        parse(weights_file({"plain": kernel(), "trap": Runs(trap)}))
    assert not trap.exists()


def test_the_trap_is_a_real_one(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    pickle.loads(pickle.dumps(Runs(trap)))  # noqa: S301 - shows what the reader prevents
    assert trap.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (1, (2, 3), (3, 1)),  # its end lies behind the storage
        (0, (2, 3), (4, 1)),
        (7, (1,), (1,)),
        (0, (10**6, 10**6), (0, 0)),  # small in the file, huge in memory
        (-1, (2,), (1,)),  # before the storage
        (0, (2, 3), (-3, 1)),
        (0, (2, 3), (1,)),
        ("0", (2, 3), (3, 1)),
        (0, [2, 3], (3, 1)),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(offset: Any, shape: Any, stride: Any) -> None:
    with pytest.raises(UntrustedWeights):
        parse(weights_file({"plain": kernel(offset, shape, stride)}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 a newer archive",
        pickle.dumps([1, 2]),
    ],
)
def test_a_file_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(UntrustedWeights):
        parse(data)


def test_a_table_that_does_not_fit_its_storages_is_refused() -> None:
    for broken in (
        weights_file({"plain": kernel()}, magic=1),
        weights_file({"plain": kernel()}, keys=()),
        weights_file({"plain": kernel()}, keys=("k", "other")),
        weights_file({"plain": 3}),
        weights_file([kernel()]),
        weights_file({"plain": Tensor(floats(7), 0, (2,), (1,))}),
        weights_file({"plain": Tensor(("module", 1), 0, (2,), (1,))}),
    ):
        with pytest.raises(UntrustedWeights):
            parse(broken)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.floats(0, 0.999))
def test_a_file_cut_short_is_refused(cut: float) -> None:
    data = weights_file({"plain": kernel()})
    with pytest.raises(UntrustedWeights):
        parse(data[: int(len(data) * cut)])


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.pth")
