from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from passerby.errors import DatasetLayoutError, OutputError, WeightsError
from passerby.inference.embeddings_file import (
    FORMAT,
    Origin,
    read_embeddings,
    read_query_gallery,
    write_embeddings,
    write_query_gallery,
)
from passerby.types import Embeddings, Protocol

ORIGIN = Origin(fingerprint="0123456789abcdef", model="aap_reid", size=(256, 128), root="/data/people.zip")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def embeddings(n: int = 7, *, labelled: bool = True, local: bool = False, d: int = 5) -> Embeddings:
    generator = torch.Generator().manual_seed(n)
    return Embeddings(
        embedding=torch.randn(n, d, generator=generator),
        paths=tuple(f"Königstraße/{i}.jpg" for i in range(n)),
        pids=torch.arange(n) - 1 if labelled else None,
        camids=torch.arange(n) % 2 if labelled else None,
        roles=torch.arange(n) % 3 if labelled else None,
        local=torch.randn(n, 4, 3, generator=generator) if local else None,
    )


def assert_same(a: Embeddings, b: Embeddings) -> None:
    assert a.paths == b.paths
    for name in ("embedding", "pids", "camids", "roles", "local"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            assert x.dtype == y.dtype, name
            assert torch.equal(x, y), name


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("n", [1, 7])
def test_what_is_read_is_what_was_written(tmp_path: Path, n: int, labelled: bool, local: bool) -> None:
    written = embeddings(n, labelled=labelled, local=local)
    write_embeddings(tmp_path / "e.parquet", written, ORIGIN)
    stored = read_embeddings(tmp_path / "e.parquet")
    assert stored.origin == ORIGIN
    assert_same(stored.embeddings, written)
    assert names(tmp_path) == ["e.parquet"]


def test_rows_of_many_row_groups_stay_in_order(tmp_path: Path) -> None:
    written = embeddings(1000, d=2, local=True)
    write_embeddings(tmp_path / "whole.parquet", written, ORIGIN)
    pq.write_table(pq.read_table(tmp_path / "whole.parquet"), tmp_path / "e.parquet", row_group_size=64)
    assert_same(read_embeddings(tmp_path / "e.parquet").embeddings, written)


def test_numbers_are_read_in_runs_of_rows_into_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = embeddings(20, d=2, local=True)
    write_embeddings(tmp_path / "whole.parquet", written, ORIGIN)
    pq.write_table(pq.read_table(tmp_path / "whole.parquet"), tmp_path / "e.parquet", row_group_size=7)
    monkeypatch.setattr("passerby.inference.embeddings_table._RUN", 3)
    runs: list[int] = []
    read, by_runs = pq.ParquetFile.read, pq.ParquetFile.iter_batches

    def read_labels(file: pq.ParquetFile, columns: list[str]) -> pa.Table:
        assert not {"embedding", "local"} & set(columns)
        return read(file, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read", read_labels)
    monkeypatch.setattr(
        pq.ParquetFile,
        "iter_batches",
        lambda file, rows, columns: (runs.append(rows), by_runs(file, rows, columns=columns))[1],
    )
    assert_same(read_embeddings(tmp_path / "e.parquet").embeddings, written)
    assert runs == [3, 3]


def test_a_list_length_that_the_file_does_not_hold_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """The schema of Arrow is only a note beside what Parquet holds."""
    write_embeddings(tmp_path / "whole.parquet", embeddings(3, d=4), ORIGIN)
    whole = pq.read_table(tmp_path / "whole.parquet")
    missing = pa.array([None, None, [1.0] * 2**20], pa.list_(pa.float32(), 2**20))
    table = whole.set_column(whole.column_names.index("embedding"), "embedding", missing)
    pq.write_table(table, tmp_path / "e.parquet")
    with pytest.raises(DatasetLayoutError, match="'embedding' lacks some of 3 values"):
        read_embeddings(tmp_path / "e.parquet")


def test_others_can_read_the_file(tmp_path: Path) -> None:
    written = embeddings(3)
    write_embeddings(tmp_path / "e.parquet", written, ORIGIN)
    row = pq.read_table(tmp_path / "e.parquet").to_pylist()[2]
    assert row == {
        "path": "Königstraße/2.jpg", "pid": 1, "camid": 0, "role": 2, "split": None, "time": None,
        "embedding": written.embedding[2].tolist(),
    }  # fmt: skip


def test_half_precision_is_stored_exactly_and_double_is_rounded(tmp_path: Path) -> None:
    features = torch.tensor([[1 / 3, 2.0]], dtype=torch.float64)
    for dtype in (torch.float16, torch.float64):
        write_embeddings(tmp_path / "e.parquet", Embeddings(features.to(dtype), ("a",)), ORIGIN)
        assert torch.equal(read_embeddings(tmp_path / "e.parquet").embeddings.embedding, features.to(dtype).float())


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    (tmp_path / "pid=99").mkdir()
    write_embeddings(tmp_path / "pid=99" / "e.parquet", embeddings(), ORIGIN)
    assert_same(read_embeddings(tmp_path / "pid=99" / "e.parquet").embeddings, embeddings())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["embedding", "local"])
def test_values_that_are_not_finite_raise(tmp_path: Path, value: float, field: str) -> None:
    broken = embeddings(local=True)
    getattr(broken, field)[3].flatten()[1] = value
    with pytest.raises(WeightsError, match=r"Königstraße/3\.jpg has NaN or infinite"):
        write_embeddings(tmp_path / "e.parquet", broken, ORIGIN)
    assert names(tmp_path) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_embeddings(tmp_path / "e.parquet", embeddings(3), ORIGIN)

    def disk_full(table: object, where: Path, **_: object) -> None:
        where.write_bytes(b"PAR1 and then")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", disk_full)
    with pytest.raises(OutputError, match=r"e\.parquet: No space left on device"):
        write_embeddings(tmp_path / "e.parquet", embeddings(5), ORIGIN)
    assert names(tmp_path) == ["e.parquet"]
    assert_same(read_embeddings(tmp_path / "e.parquet").embeddings, embeddings(3))


def test_duplicate_images_and_invalid_person_ids_raise(tmp_path: Path) -> None:
    written = embeddings(3)
    write_embeddings(tmp_path / "e.parquet", replace(written, paths=("a.jpg", "b.jpg", "a.jpg")), ORIGIN)
    with pytest.raises(DatasetLayoutError, match=r"holds an image twice, a\.jpg"):
        read_embeddings(tmp_path / "e.parquet")
    write_embeddings(tmp_path / "e.parquet", replace(written, pids=torch.tensor([1, -7, 2])), ORIGIN)
    with pytest.raises(DatasetLayoutError, match="has the person ID -7, expected IDs from 0, or -1 for junk"):
        read_embeddings(tmp_path / "e.parquet")


def test_a_missing_file_and_a_folder_are_no_embeddings(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "e.parquet", "does not exist: expected a"), (tmp_path, "is not a")):
        with pytest.raises(DatasetLayoutError, match=f"{words} file of embeddings"):
            read_embeddings(path)


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_truncated_file_raises(tmp_path: Path, keep: int) -> None:
    file = tmp_path / "e.parquet"
    write_embeddings(file, embeddings(), ORIGIN)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DatasetLayoutError, match="not a whole Parquet file"):
        read_embeddings(file)


def test_a_flipped_bit_anywhere_never_gives_other_embeddings(tmp_path: Path) -> None:
    file = tmp_path / "e.parquet"
    written = embeddings(20, d=8)
    write_embeddings(file, written, ORIGIN)
    content = file.read_bytes()
    refused = 0
    for at in range(4, len(content) // 2, 7):  # the data pages come first
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        file.write_bytes(damaged)
        try:
            stored = read_embeddings(file)
        except DatasetLayoutError:
            refused += 1
        else:
            assert_same(stored.embeddings, written)
    assert refused > 20


def rewritten(file: Path, change: pa.Table) -> Path:
    pq.write_table(change, file)
    return file


def test_parquet_without_embeddings_raises(tmp_path: Path) -> None:
    file = rewritten(tmp_path / "e.parquet", pa.table({"path": ["a"], "pid": [1]}))
    with pytest.raises(
        DatasetLayoutError, match="has no column 'embedding': got path, pid, which are not those of a file"
    ):
        read_embeddings(file)


@pytest.mark.parametrize(
    "description",
    [b"no json", b"[]", b"{}", json.dumps({"format": 1, "size": [1, 2], "model": "m", "surprise": 1}).encode()],
)
def test_a_damaged_description_raises(tmp_path: Path, description: bytes) -> None:
    write_embeddings(tmp_path / "e.parquet", embeddings(), ORIGIN)
    table = pq.read_table(tmp_path / "e.parquet").replace_schema_metadata({b"passerby": description})
    with pytest.raises(DatasetLayoutError, match="its description of the embeddings is damaged"):
        read_embeddings(rewritten(tmp_path / "e.parquet", table))


def test_a_newer_format_raises_with_a_reason(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.parquet", embeddings(), ORIGIN)
    table = pq.read_table(tmp_path / "e.parquet")
    newer = json.loads(table.schema.metadata[b"passerby"]) | {"format": FORMAT + 1}
    table = table.replace_schema_metadata({b"passerby": json.dumps(newer).encode()})
    with pytest.raises(DatasetLayoutError, match=f"format {FORMAT + 1}"):
        read_embeddings(rewritten(tmp_path / "e.parquet", table))


def test_columns_of_other_types_raise(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "whole.parquet", embeddings(3), ORIGIN)
    whole = pq.read_table(tmp_path / "whole.parquet")
    at = whole.column_names.index
    changes = {
        "'embedding' is missing": whole.drop_columns(["embedding"]),
        "'path' is missing": whole.set_column(at("path"), "path", pa.array([1, 2, 3])),
        "'pid' is missing or of another": whole.set_column(at("pid"), "pid", pa.array(["a", "b", "c"])),
        "'pid' lacks 1 of 3": whole.set_column(at("pid"), "pid", pa.array([1, None, 3])),
        "'path' lacks 3 of 3": whole.set_column(at("path"), "path", pa.nulls(3, pa.string())),
        "'embedding' lacks 1 of 3": whole.set_column(
            at("embedding"), "embedding", pa.array([[1.0], None, [1.0]], pa.list_(pa.float32(), 1))
        ),
        "'embedding' is missing or": whole.set_column(
            at("embedding"), "embedding", pa.array([[1.0], [2.0], [1.0]], pa.list_(pa.float32()))
        ),
    }
    for message, table in changes.items():
        with pytest.raises(DatasetLayoutError, match=message):
            read_embeddings(rewritten(tmp_path / "e.parquet", table))


def test_splits_and_times_are_kept(tmp_path: Path) -> None:
    written = replace(embeddings(3), times=torch.tensor([30, 10, 20]))
    write_embeddings(tmp_path / "e.parquet", written, ORIGIN, ["query", None, "train"])
    stored = read_embeddings(tmp_path / "e.parquet")
    assert stored.splits == ("query", None, "train")
    assert stored.embeddings.times is not None
    assert stored.embeddings.times.tolist() == [30, 10, 20]
    assert stored.split("train").paths == written.paths[2:]
    with pytest.raises(
        DatasetLayoutError, match=r"no rows of split 'gallery': got query, train\. Fix: write query and"
    ):
        stored.query_gallery()
    table = pq.read_table(tmp_path / "e.parquet")
    broken = table.set_column(table.column_names.index("split"), "split", pa.array(["query", "test", None]))
    with pytest.raises(DatasetLayoutError, match="column 'split' has the value 'test'"):
        read_embeddings(rewritten(tmp_path / "e.parquet", broken))


def test_both_sides_of_an_evaluation_are_one_file(tmp_path: Path) -> None:
    gallery = embeddings(7, local=True)
    query = gallery[:2]
    write_query_gallery(tmp_path / "e.parquet", query, gallery, replace(ORIGIN, normalize=False, flip_tta=True))
    for written, read in zip((query, gallery), read_query_gallery(tmp_path / "e.parquet"), strict=True):
        assert_same(read, written)
    assert read_embeddings(tmp_path / "e.parquet").protocol == Protocol(normalize=False, flip_tta=True)
    write_query_gallery(tmp_path / "e.parquet", query, gallery)
    assert read_embeddings(tmp_path / "e.parquet").protocol == Protocol()
    for written, read in zip((query, gallery), read_query_gallery(tmp_path / "e.parquet"), strict=True):
        assert_same(read, written)


def test_an_evaluation_needs_people_and_cameras(tmp_path: Path) -> None:
    known = embeddings(3)
    for field, column in (("pids", "pid"), ("camids", "camid")):
        unknown = replace(known, **{field: None})
        write_query_gallery(tmp_path / "e.parquet", unknown, unknown, ORIGIN)
        with pytest.raises(DatasetLayoutError, match=f"has no {column} of its query.*Fix: fill the column {column}"):
            read_query_gallery(tmp_path / "e.parquet")


def test_a_file_of_another_name_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"got '.*e\.npz', expected a name that ends in \.parquet"):
        write_embeddings(tmp_path / "e.npz", embeddings(), ORIGIN)
    assert names(tmp_path) == []


STATED = {
    "fingerprint": [1], "model": None, "size": [-1, 10**12], "root": "x" * 10_000, "attributes": {"a": 1},
    "flip_tta": "no", "normalize": 2, "keypoints": 3, "distance": ["global"], "format": 10**400, "surprise": 1,
}  # fmt: skip


@pytest.mark.parametrize("field", STATED)
def test_a_description_of_wrong_types_raises(tmp_path: Path, field: str) -> None:
    write_embeddings(tmp_path / "e.parquet", embeddings(), ORIGIN)
    table = pq.read_table(tmp_path / "e.parquet")
    stated = json.loads(table.schema.metadata[b"passerby"]) | {field: STATED[field]}
    table = table.replace_schema_metadata({b"passerby": json.dumps(stated).encode()})
    with pytest.raises(DatasetLayoutError, match="its description of the embeddings is damaged"):
        read_embeddings(rewritten(tmp_path / "e.parquet", table))


def test_a_description_nested_too_deep_raises(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.parquet", embeddings(), ORIGIN)
    for deep in (b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 2_000 + b"1" + b"}" * 2_000):
        table = pq.read_table(tmp_path / "e.parquet").replace_schema_metadata({b"passerby": deep})
        with pytest.raises(DatasetLayoutError, match="its description of the embeddings is damaged"):
            read_embeddings(rewritten(tmp_path / "deep.parquet", table))


def test_labels_and_values_that_cannot_be_raise(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "whole.parquet", embeddings(3), ORIGIN)
    whole = pq.read_table(tmp_path / "whole.parquet")
    at = whole.column_names.index
    numbers = whole["embedding"].type
    broken = [[float("nan")] * numbers.list_size] * 3
    no_text = [None, pa.py_buffer(np.arange(4, dtype=np.int32).tobytes()), pa.py_buffer(b"\xff" * 3)]
    changes = {
        "role has the value 7, expected 0": whole.set_column(at("role"), "role", pa.array([7, 0, 0])),
        "embedding has NaN": whole.set_column(at("embedding"), "embedding", pa.array(broken, numbers)),
        "holds no images: got 0 rows": whole.slice(0, 0),
        "a column that cannot be read": whole.set_column(
            at("path"), "path", pa.Array.from_buffers(pa.string(), 3, no_text)
        ),
    }
    for message, table in changes.items():
        with pytest.raises(DatasetLayoutError, match=message):
            read_embeddings(rewritten(tmp_path / "e.parquet", table))


def test_zero_embeddings_are_refused_when_they_are_written(tmp_path: Path) -> None:
    zero = embeddings(3)
    zero.embedding[1] = 0
    with pytest.raises(WeightsError, match=f"1 of 3 embeddings are zero, the first that of '{zero.paths[1]}'"):
        write_embeddings(tmp_path / "e.parquet", zero, ORIGIN)
    assert not list(tmp_path.iterdir())
    write_embeddings(tmp_path / "e.parquet", zero, replace(ORIGIN, normalize=False))  # unnormalized, zero is a place
