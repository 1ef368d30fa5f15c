"""Precomputed embeddings: files of other programs and of version 0.1."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from passerby.errors import DatasetLayoutError, PasserbyError, ProtocolError, ShapeError
from passerby.inference.embeddings_file import read_query_gallery, write_query_gallery
from passerby.types import Role


def arrays(**changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for side, n in (("query", 3), ("gallery", 5)):
        found[f"{side}_f"] = generator.normal(size=(n, 4)).astype(np.float16)
        found[f"{side}_pid"] = np.arange(n, dtype=np.int32) - (side == "gallery")
        found[f"{side}_cam"] = np.ones(n, dtype=np.int16)
    return {name: value for name, value in (found | changes).items() if value is not None}


def saved(folder: Path, values: Mapping[str, Any]) -> Path:
    np.savez(folder / "features.npz", **values)
    return folder / "features.npz"


def test_todays_names_and_those_of_version_0_1_mean_the_same(tmp_path: Path) -> None:
    table = pa.table({"split": ["query", "gallery"], "f": [[1.0, 2.0], [3.0, 4.0]], "pid": [1, 1], "cam": [1, 2]})
    pq.write_table(table, tmp_path / "former.parquet")
    pq.write_table(table.rename_columns(["split", "embedding", "pid", "camid"]), tmp_path / "today.parquet")
    for one, other in zip(*(read_query_gallery(tmp_path / f"{n}.parquet") for n in ("former", "today")), strict=True):
        assert torch.equal(one.embedding, other.embedding)
        assert (one.pids, one.camids, one.paths) == (other.pids, other.camids, ("row 0",))


def test_arrays_are_read_and_minus_one_is_junk(tmp_path: Path) -> None:
    query, gallery = read_query_gallery(saved(tmp_path, arrays()))
    assert query.embedding.dtype == torch.float32
    assert np.array_equal(gallery.embedding.numpy(), arrays()["gallery_f"].astype(np.float32))
    assert gallery.pids is not None
    assert gallery.pids.tolist() == [-1, 0, 1, 2, 3]
    assert gallery.roles is not None
    assert gallery.roles.tolist() == [Role.JUNK, *[Role.PERSON] * 4]
    assert gallery.paths[1] == "row 1"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    given = arrays(
        gallery_path=np.array(list("abcde")), gallery_role=np.array([0, 1, 2, 0, 0]),
        query_local=np.ones((3, 2, 4), np.float32), gallery_local=np.ones((5, 2, 4), np.float32),
        gallery_pid=np.array([-7, 1, 2, 3, 4]),
    )  # fmt: skip
    both = read_query_gallery(saved(tmp_path, given))
    write_query_gallery(tmp_path / "again.parquet", *both)
    for one, other in zip(both, read_query_gallery(tmp_path / "again.parquet"), strict=True):
        assert one.paths == other.paths
        for name in ("embedding", "pids", "camids", "roles", "local"):
            assert torch.equal(getattr(one, name), getattr(other, name))


def test_parquet_and_npz_give_the_same(tmp_path: Path) -> None:
    given = arrays()
    table: dict[str, list[Any]] = {
        name: [value for side in ("gallery", "query") for value in given[f"{side}_{name}"].tolist()]
        for name in ("f", "pid", "cam")
    }
    table["split"] = ["gallery"] * 5 + ["query"] * 3
    pq.write_table(pa.table(table), tmp_path / "features.parquet")
    for one, other in zip(
        read_query_gallery(tmp_path / "features.parquet"), read_query_gallery(saved(tmp_path, given)), strict=True
    ):
        assert torch.equal(one.embedding.float(), other.embedding)
        for name in ("pids", "camids", "roles"):
            assert torch.equal(getattr(one, name), getattr(other, name))


FAULTS: list[tuple[dict[str, Any], type[PasserbyError], str]] = [
    ({"gallery_cam": None}, DatasetLayoutError, "lacks gallery_cam; it has gallery_f, gallery_pid, query_cam"),
    (
        {"query_f": np.ones(3, np.float32)},
        ShapeError,
        r"query_f must have 2 dimensions of floats, got \(3,\) of float32",
    ),
    ({"query_f": np.ones((3, 4), int)}, ShapeError, r"of floats, got \(3, 4\) of int64"),
    ({"query_pid": np.ones(2, int)}, ShapeError, "query_pid has 2 values for 3 embeddings"),
    ({"query_pid": np.ones(3)}, ShapeError, "of whole numbers, got"),
    ({"gallery_pid": np.array([-2, 1, 1, 1, 1])}, ProtocolError, "negative codes other than -1, which is junk, for ex"),
    (
        {"gallery_path": np.array(list("abcda"))},
        ProtocolError,
        "gallery_path names an image twice, a. Fix: embed each once",
    ),
    ({"gallery_path": np.array(list("abcd"))}, ShapeError, "gallery_path has 4 values for 5"),
    ({"query_f": np.array([None])}, DatasetLayoutError, "cannot be read as an .npz of plain arrays"),
]


@pytest.mark.parametrize(("changes", "error", "message"), FAULTS)
def test_invalid_arrays_raise(
    tmp_path: Path, changes: dict[str, Any], error: type[PasserbyError], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_query_gallery(saved(tmp_path, arrays(**changes)))


def test_other_files_raise(tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match="does not exist: expected a file of embeddings"):
        read_query_gallery(tmp_path / "nowhere.npz")
    for name, message in (
        ("a.csv", "whole Parquet file .*no .npz by its name"),
        ("a.npz", "as an .npz"),
        ("a.parquet", "Parquet"),
    ):
        (tmp_path / name).write_text("nothing of the sort")
        with pytest.raises(DatasetLayoutError, match=message):
            read_query_gallery(tmp_path / name)
    pq.write_table(pa.table({"split": ["train"], "f": [[1.0]]}), tmp_path / "b.parquet")
    with pytest.raises(DatasetLayoutError, match="has no rows of split 'query': got train"):
        read_query_gallery(tmp_path / "b.parquet")
    pq.write_table(pa.table({"split": ["test"], "f": [[1.0]]}), tmp_path / "b.parquet")
    with pytest.raises(DatasetLayoutError, match="column 'split' has the value 'test', expected query, gallery, train"):
        read_query_gallery(tmp_path / "b.parquet")
    pq.write_table(pa.table({"f": [[1.0]]}), tmp_path / "b.parquet")
    with pytest.raises(DatasetLayoutError, match="got no split at all"):
        read_query_gallery(tmp_path / "b.parquet")
    pq.write_table(
        pa.table({"split": ["query", "gallery"], "f": [[1.0], [2.0]], "pid": [1, 1]}), tmp_path / "b.parquet"
    )
    with pytest.raises(DatasetLayoutError, match="has no camid of its query, which an evaluation needs"):
        read_query_gallery(tmp_path / "b.parquet")
    pq.write_table(pa.table({"split": ["query"] * 2, "f": [[1.0], [1.0, 2.0]]}), tmp_path / "b.parquet")
    with pytest.raises(ShapeError, match="the lists of column 'f' differ in length"):
        read_query_gallery(tmp_path / "b.parquet")


@pytest.mark.parametrize(("name", "row"), [("pid", 1), ("f", 0), ("path", 1)])
def test_missing_values_of_parquet_are_counted(tmp_path: Path, name: str, row: int) -> None:
    table = pa.table({"split": ["query"] * 2, "f": [[1.0], [2.0]], "pid": [1, 2], "cam": [1, 1], "path": ["a", "b"]})
    values = table[name].to_pylist()
    values[row] = None
    broken = table.set_column(table.column_names.index(name), name, pa.array(values, table[name].type))
    pq.write_table(broken, tmp_path / "b.parquet")
    with pytest.raises(
        DatasetLayoutError, match=f"1 of 2 values of column '{name}' are missing, the first in place {row}"
    ):
        read_query_gallery(tmp_path / "b.parquet")


def test_missing_numbers_of_embeddings_are_counted(tmp_path: Path) -> None:
    for kind in (pa.list_(pa.float32()), pa.list_(pa.float32(), 2), pa.large_list(pa.float32())):
        rows = pa.array([[1.0, None], [2.0, 3.0]], kind)
        table = {"split": ["query"] * 2, "f": rows, "pid": [1, 2], "cam": [1, 1]}
        pq.write_table(pa.table(table), tmp_path / "b.parquet")
        with pytest.raises(DatasetLayoutError, match="1 of 4 values of column 'f' are missing, the first in place 1"):
            read_query_gallery(tmp_path / "b.parquet")


@pytest.mark.parametrize("kind", [pa.list_(pa.float32(), 4), pa.large_list(pa.float32())])
def test_all_kinds_of_lists_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    table = {
        "split": ["query", "gallery", "gallery"],
        "f": pa.array(rows.tolist(), kind),
        "pid": [1] * 3,
        "cam": [1] * 3,
    }
    pq.write_table(pa.table(table), tmp_path / "e.parquet")
    query, gallery = read_query_gallery(tmp_path / "e.parquet")
    assert np.array_equal(np.concatenate([query.embedding.numpy(), gallery.embedding.numpy()]), rows)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "longdouble"])
def test_numbers_of_other_machines_are_read(tmp_path: Path, dtype: str) -> None:
    given = arrays()
    query, _ = read_query_gallery(saved(tmp_path, given | {"query_f": given["query_f"].astype(dtype)}))
    assert np.array_equal(query.embedding.numpy(), given["query_f"].astype(np.float64))


def test_files_that_only_look_like_arrays_raise(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(DatasetLayoutError, match=r"as an \.npz"):
        read_query_gallery(tmp_path / "a.npz")
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(DatasetLayoutError, match=r"holds one array, not an \.npz of several"):
        read_query_gallery(tmp_path / "a.npz")


def sides(**changes: Any) -> dict[str, Any]:
    """Return the arrays of an ``.npz`` of 4 queries and 6 gallery images, some of them replaced."""
    draw = np.random.default_rng(0)
    made: dict[str, Any] = {}
    for side, n in (("query", 4), ("gallery", 6)):
        embedding = draw.normal(size=(n, 8)).astype(np.float32)
        made |= {f"{side}_f": embedding, f"{side}_pid": np.arange(n) % 2, f"{side}_cam": np.full(n, n)}
    return made | changes


DAMAGED: dict[str, tuple[dict[str, Any], str]] = {
    "no dimensions": ({f"{s}_f": np.zeros((n, 0), "f4") for s, n in (("query", 4), ("gallery", 6))}, "has shape"),
    "a person that wraps to junk": (
        {"query_pid": np.full(4, 2**64 - 1, "u8")},
        "has the value 18446744073709551615",
    ),
    "half a pair": ({"query_path": np.array(["\ud800", "a", "b", "c"])}, r"a name that is no text, '\\ud800'"),
    "long names": ({"query_path": np.array(["a", "b", "c", "x" * 9000])}, "a name of 9,000 characters"),
    "names in a table": ({"query_path": np.array([["a", "b"]] * 4)}, r"query_path has shape \(4, 2\)"),
    "an unknown role": ({"query_role": np.full(4, 9)}, "query_role has the value 9, expected 0 .person., 1"),
    "Python objects": ({"query_pid": np.array([1, None, 2, 3], object)}, "query_pid.npy holds Python objects"),
    "no numbers": ({"query_f": np.zeros((4, 8), [("a", "f4")])}, "query_f must have 2 dimensions of floats"),
}


@pytest.mark.parametrize(("changes", "message"), DAMAGED.values(), ids=DAMAGED)
def test_arrays_that_are_no_embeddings_raise(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "f.npz", **sides(**changes))
    with pytest.raises((DatasetLayoutError, ProtocolError, ShapeError), match=message):
        read_query_gallery(tmp_path / "f.npz")


@pytest.mark.parametrize(
    "shape", ["(1000000000, 512)", "(9223372036854775807, 9223372036854775807)", "(-4, -8)", "(50, 8)"]
)
def test_an_array_that_lies_about_its_shape_is_not_made(tmp_path: Path, shape: str) -> None:
    np.savez(tmp_path / "f.npz", **sides())
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    lie = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(4 * 32)
    with zipfile.ZipFile(tmp_path / "f.npz") as whole, zipfile.ZipFile(tmp_path / "lie.npz", "w") as changed:
        for name in whole.namelist():
            changed.writestr(name, lie if name == "query_f.npy" else whole.read(name))
    with pytest.raises(DatasetLayoutError, match=r"query_f.npy is said to have shape .* but has \d+ bytes"):
        read_query_gallery(tmp_path / "lie.npz")


def test_a_file_that_unpacks_to_a_thousand_times_its_size_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.inference.former_formats.HARMLESS", 2**20)
    zeros = np.zeros((4, 2**17), np.float32)
    np.savez_compressed(tmp_path / "f.npz", **sides(query_f=zeros))
    n = 2**20
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n, np.float32)), 8)
    pq.write_table(pa.table({"embedding": lists}), tmp_path / "f.parquet", compression="zstd")
    for name in ("f.npz", "f.parquet"):
        with pytest.raises(DatasetLayoutError, match="GiB for its size, so it is not read"):
            read_query_gallery(tmp_path / name)


def test_columns_that_are_no_embeddings_raise(tmp_path: Path) -> None:
    whole = pa.table({"embedding": [[1.0, 2.0]] * 2, "pid": [1, 2], "camid": [1, 2], "split": ["query", "gallery"]})
    offsets, bytes_ = pa.py_buffer(np.arange(3, dtype=np.int32).tobytes()), pa.py_buffer(b"\xff\xff")
    tables = {
        "no dimensions": (whole.set_column(0, "embedding", pa.array([[], []], pa.list_(pa.float32()))), "has shape"),
        "a column twice": (whole.append_column("pid", whole["pid"]), "the column 'pid' twice"),
        "no rows": (whole.slice(0, 0), "holds no images"),
        "no text": (
            whole.append_column("path", pa.Array.from_buffers(pa.string(), 2, [None, offsets, bytes_])),
            "a column that cannot be read",
        ),
        "junk": (
            whole.set_column(1, "pid", pa.array([2**64 - 1, 1], pa.uint64())),
            "has the value 18446744073709551615",
        ),
    }
    for name, (table, message) in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        with pytest.raises((DatasetLayoutError, ProtocolError, ShapeError), match=message):
            read_query_gallery(tmp_path / f"{name}.parquet")
