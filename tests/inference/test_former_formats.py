"""Precomputed embeddings: files of other programs and of version 0.1."""

from __future__ import annotations

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
