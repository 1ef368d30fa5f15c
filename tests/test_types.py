"""The values that every layer speaks: rows stay together, numbers keep their meaning."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from passerby.errors import DatasetLayoutError, ShapeError
from passerby.types import Batch, Embeddings, EvalResult, Hit, ModelOutput, Protocol, Ranking, Role, Sample


def embeddings(n: int = 4) -> Embeddings:
    """Row i is recognizable by i in every field."""
    rows = torch.arange(n)
    return Embeddings(
        embedding=rows[:, None].float().expand(n, 3),
        paths=tuple(f"{i}.jpg" for i in range(n)),
        pids=rows * 10,
        camids=rows + 100,
        roles=torch.full((n,), int(Role.PERSON)),
        local=rows[:, None, None].float().expand(n, 2, 5),
    )


def assert_rows(chosen: Embeddings, rows: list[int]) -> None:
    assert chosen.pids is not None
    assert chosen.camids is not None
    assert chosen.roles is not None
    assert chosen.local is not None
    assert len(chosen) == len(rows)
    assert chosen.paths == tuple(f"{i}.jpg" for i in rows)
    assert chosen.embedding[:, 0].tolist() == rows
    assert chosen.pids.tolist() == [10 * i for i in rows]
    assert chosen.camids.tolist() == [100 + i for i in rows]
    assert chosen.roles.tolist() == [0] * len(rows)
    assert chosen.local.shape == (len(rows), 2, 5)
    assert chosen.local[:, 0, 0].tolist() == rows


@given(st.lists(st.integers(0, 3), max_size=8))
def test_rows_by_index_keep_all_fields_together(rows: list[int]) -> None:
    assert_rows(embeddings()[torch.tensor(rows, dtype=torch.int64)], rows)


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_rows_by_mask_keep_all_fields_together(mask: list[bool]) -> None:
    assert_rows(embeddings()[torch.tensor(mask)], [i for i, kept in enumerate(mask) if kept])


def test_unknown_columns_stay_unknown() -> None:
    chosen = Embeddings(torch.zeros(2, 3), ("a", "b"))[torch.tensor([1])]
    assert chosen.paths == ("b",)
    assert (chosen.pids, chosen.camids, chosen.roles, chosen.local) == (None, None, None, None)


@pytest.mark.usefixtures("_no_shape_checker")
@pytest.mark.parametrize("column", ["paths", "pids", "camids", "roles", "local", "attributes", "times"])
def test_columns_must_agree_about_n(column: str) -> None:
    wrong = ("a",) if column == "paths" else torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ShapeError, match=f"4 embeddings but 1 {column}"):
        dataclasses.replace(embeddings(), **{column: wrong})


@pytest.mark.usefixtures("_no_shape_checker")
def test_embeddings_are_rows() -> None:
    with pytest.raises(ShapeError, match=r"\(n, d\), got \(2, 3, 4\)"):
        Embeddings(torch.zeros(2, 3, 4), ("a", "b"))


@pytest.mark.parametrize(
    "columns",
    [
        {"embedding": torch.zeros(2, 3, 4)},
        {"pids": torch.zeros(2)},
        {"camids": torch.zeros(2, 1, dtype=torch.int64)},
        {"local": torch.zeros(2, 3)},
        {"attributes": torch.zeros(3, 5)},
    ],
)
def test_the_tests_check_the_shapes_of_every_field(columns: dict[str, torch.Tensor]) -> None:
    with pytest.raises(TypeCheckError, match=next(iter(columns))):
        Embeddings(**{"embedding": torch.zeros(2, 3), "paths": ("a", "b"), **columns})  # type: ignore[arg-type]


def test_the_tests_check_the_shapes_of_named_tuples() -> None:
    b = torch.zeros(2, 4)
    ModelOutput(b, b, local=torch.zeros(2, 3, 5), branches={"global": (b, b)}, maps={"a": torch.zeros(2, 1, 1)})
    with pytest.raises(TypeCheckError, match="metric"):
        ModelOutput(b, torch.zeros(3, 4))
    with pytest.raises(TypeCheckError, match="maps"):
        ModelOutput(b, b, maps={"a": torch.zeros(2, 1)})
    with pytest.raises(TypeCheckError, match="labels"):
        Batch(torch.zeros(2, 3, 8, 4), torch.zeros(2))
    with pytest.raises(TypeCheckError, match="distances"):
        Ranking(torch.zeros(2, 5, dtype=torch.int64), torch.zeros(2, 4))


@pytest.mark.parametrize("value", [Sample("a.jpg"), Protocol(), Hit(1, "a.jpg", 0.5), embeddings()])
def test_values_do_not_change(value: object) -> None:
    name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "other")


def test_a_sample_is_a_person_without_a_label() -> None:
    sample = Sample("a.jpg")
    assert (sample.pid, sample.camid, sample.role) == (None, None, Role.PERSON)


def test_what_a_model_lacks_is_none() -> None:
    output = ModelOutput(torch.zeros(1, 2), torch.zeros(1, 2))
    assert output.logits is None
    assert output.local is None


def result(**details: object) -> EvalResult:
    return EvalResult(Protocol(), (0.5, 0.75, 1.0), 0.6, 0.3, queries=8, queries_dropped=1, gallery=3, details=details)


def test_cmc_ranks_count_from_one_and_stay_at_the_last() -> None:
    assert result().rank1 == result().rank(1) == 0.5
    assert result().rank(2) == 0.75
    assert result().rank(50) == 1.0


def test_a_result_survives_json_with_its_protocol() -> None:
    read = json.loads(json.dumps(result(dataset="figures").to_dict()))
    assert read["cmc"] == {"1": 0.5, "5": 1.0, "10": 1.0, "20": 1.0}
    assert (read["mean_ap"], read["minp"]) == (0.6, 0.3)
    assert (read["queries"], read["queries_dropped"], read["gallery"], read["details"]["dataset"]) == (
        8,
        1,
        3,
        "figures",
    )
    assert Protocol(**read["protocol"]) == Protocol()


def test_unlike_protocols_differ_in_print() -> None:
    variants = [
        Protocol(),
        Protocol(name="other"),
        Protocol(average_precision="trapezoid"),
        Protocol(ignore_same_camera=False),
        Protocol(distance="global_local"),
        Protocol(normalize=False),
        Protocol(flip_tta=True),
        Protocol(draws=10),
        Protocol(draws=10, seed=1),
    ]
    assert len({str(p) for p in variants}) == len(set(variants)) == len(variants)


def test_rows_are_iterated_and_chosen_by_number() -> None:
    whole = embeddings()
    a, b, *_ = whole
    assert_rows(a, [0])
    assert_rows(b, [1])
    assert_rows(whole[-1], [3])
    assert_rows(whole[1:3], [1, 2])
    with pytest.raises(IndexError):
        whole[4]


def test_parts_are_concatenated_and_what_only_some_have_is_left_out() -> None:
    whole = embeddings()
    assert_rows(Embeddings.concatenate([whole[2:], whole[:1]]), [2, 3, 0])
    bare = dataclasses.replace(whole, pids=None, local=None)
    joined = Embeddings.concatenate([whole, bare])
    assert len(joined) == 8
    assert (joined.pids, joined.local) == (None, None)
    assert joined.camids is not None
    with pytest.raises(ShapeError, match=r"different dimensions cannot be one set: got \(4, 3\), \(1, 2\)"):
        Embeddings.concatenate([whole, Embeddings(torch.zeros(1, 2), ("a",))])


@pytest.mark.parametrize("field", ["pid", "camid", "time"])
def test_numbers_of_a_sample_fit_in_64_bits(field: str) -> None:
    assert getattr(Sample("a.jpg", **{field: 2**63 - 1}), field) == 2**63 - 1
    with pytest.raises(DatasetLayoutError, match=r"'a\.jpg' has the .* 9223372036854775808, expected a number below 2"):
        Sample("a.jpg", **{field: 2**63})
