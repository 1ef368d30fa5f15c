"""The papers' tables: every row is a config that trains, with the switches that it claims and the numbers printed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from passerby.data.attributes.schema import Schema
from passerby.data.registry import DATASETS
from passerby.data.variants import variant_name
from passerby.errors import UnknownNameError
from passerby.losses.registry import create_loss
from passerby.models.registry import create_model
from passerby.recipes.sizes import count
from passerby.recipes.tables import (
    COUNTED,
    CUHK03,
    CUHK03_DETECTED,
    CUHK03_LABELED,
    DUKE,
    MARKET,
    PAPERS,
    RERANKED,
    Row,
    Table,
    load_table,
)
from passerby.training.config import TrainConfig, validated
from passerby.types import Batch, Rerank

ROWS = [(paper, table, row) for paper in PAPERS for table in PAPERS[paper] for row in PAPERS[paper][table].rows]
SMALL: tuple[dict[str, Any], dict[str, Any]] = ({"backbone": "resnet18_half"}, {"width": 0.25})
"""In the place of a model's own size."""


def distinct() -> list[Any]:
    """A row of every kind: model, options and loss on any data set, whatever the backbone and the loss's weights."""
    found: dict[str, Any] = {}
    for paper, table, row in ((*place, row) for *place, row in ROWS if load_table(*place).trained):
        for column in load_table(paper, table).columns:
            config = load_table(paper, table).config(row, column.data)
            options = {key: value for key, value in config.model.options.items() if key != "backbone"}
            loss = {key: bool(v) if isinstance(v, float) else v for key, v in config.loss.model_dump().items()}
            key = json.dumps([config.model.name, options, loss], sort_keys=True)
            found.setdefault(key, pytest.param(config, id=f"{paper}-{table}-{row}"))
    return list(found.values())


COUNTED_BEFORE: dict[tuple[str, str, int], int] = {}


def parameters(config: TrainConfig, classes: int = 751) -> int:
    """Counted once for all rows of the same model."""
    key = (config.model.name, repr(config.model.options), classes)
    if key not in COUNTED_BEFORE:
        COUNTED_BEFORE[key] = count(config, "parameters", classes=classes)
    return COUNTED_BEFORE[key]


def printed(paper: str, table: str, row: str, column: Any = MARKET) -> dict[str, float]:
    return load_table(paper, table).printed(row, column)


def test_every_table_of_the_papers_is_there() -> None:
    assert {paper: list(PAPERS[paper]) for paper in PAPERS} == {
        "aap_reid": ["table1", "table2", "table3", "table4"],
        "dual_attention": ["table1", "table2"],
        "aanet": ["table1", "table2", "table3", "table4"],
        "attention_driven": [f"table{n}" for n in range(3, 13)],
    }
    assert len(ROWS) == 114 + 69 + 4, "what is run or counted, what is cited, what Table 4 of aap_reid repeats"


@pytest.mark.parametrize(("paper", "table"), sorted({(paper, table) for paper, table, _ in ROWS}))
def test_every_row_is_a_config(paper: str, table: str) -> None:
    found = load_table(paper, table)
    for name in found.rows:
        for column in found.columns:
            config = found.config(name, column.data)
            assert config.recipe == paper == found.recipe
            assert validated(json.loads(config.model_dump_json())) == validated(config.model_dump(mode="json"))
            assert set(found.printed(name, column)) <= set(found.metrics)


@pytest.mark.parametrize("config", distinct())
def test_every_row_trains(config: TrainConfig) -> None:
    """Model and loss of the row fit each other: a step's loss is finite and has a gradient."""
    options = {**config.model.options, **SMALL[config.model.name == "attention_driven"]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model(config.model.name, num_classes=3, **options)
        images, parts = torch.randn(4, 3, 64, 32), torch.randn(4, 4, 3, 16, 32)
        output = model(images, parts) if "parts" in model.card.inputs else model(images)
    schema = getattr(model, "schema", None)
    attributes = torch.zeros(4, len(schema.groups), dtype=torch.long) if isinstance(schema, Schema) else None
    loss = create_loss(config.loss)(output, Batch(images, torch.tensor([0, 0, 1, 2]), attributes, parts))
    assert loss.total.isfinite()
    loss.total.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("row", "counts"),
    [
        ("baseline", (25_313_199, 25_212_798, 25_345_983)),
        ("cwa_all", (27_850_175, 27_749_774, 27_882_959)),
        ("aap_reid", (27_691_183, 27_590_782, 27_723_967)),
    ],
)
def test_table_2_of_aap_reid_is_counted_to_the_unit(row: str, counts: tuple[int, ...]) -> None:
    table = load_table("aap_reid", "table2")
    for column, exact in zip((MARKET, DUKE, CUHK03), counts, strict=True):
        assert parameters(table.config(row), column.classes) == exact
        assert abs(exact / 1e6 - table.printed(row, column)["parameters"]) < 0.01, "the paper mostly cuts"


@pytest.mark.parametrize(
    ("row", "exact"),
    [
        ("resnet18_bam", 11_801_235),
        ("resnet34_sp", 21_896_248),
        ("resnet50_eca", 25_317_346),
        ("resnet101_cwa_add", 48_932_207),
        ("resnet101_cwa_mul", 48_932_207),
    ],
)
def test_table_3_of_aap_reid_names_the_attention_it_prints(row: str, exact: int) -> None:
    table = load_table("aap_reid", "table3")
    assert parameters(table.config(row)) == exact
    assert exact / 1e6 == pytest.approx(table.printed(row, MARKET)["parameters"], abs=0.01)


@pytest.mark.parametrize(
    ("paper", "table", "row", "column", "exact"),
    [
        ("dual_attention", "table2", "resnet50", MARKET, 25_046_831),
        ("dual_attention", "table2", "se", MARKET, 27_577_823),
        ("dual_attention", "table2", "sa", DUKE, 30_194_431),
        ("dual_attention", "table2", "se_sa", DUKE, 32_725_423),
        ("aanet", "table1", "aanet50", DUKE, 29_682_511),
        ("aanet", "table1", "aanet152", DUKE, 64_318_287),
        ("aanet", "table2", "aanet50", MARKET, 29_785_311),
        ("aanet", "table2", "aanet152", MARKET, 64_421_087),
        ("attention_driven", "table6", "baseline", MARKET, 7_494_219),
        ("attention_driven", "table6", "both", DUKE, 11_606_055),
        ("attention_driven", "table6", "both", CUHK03_DETECTED, 12_631_485),
    ],
)
def test_rows_have_the_papers_models(paper: str, table: str, row: str, column: Any, exact: int) -> None:
    config = load_table(paper, table).config(row, column.data)
    assert parameters(config, column.classes) == exact


def test_table_12_is_counted_at_the_size_of_the_paper() -> None:
    table = load_table("attention_driven", "table12")
    counted = {row: [count(table.config(row), m, classes=751) for m in table.metrics] for row in ("base", "full")}
    assert counted == {"base": [1_959_657_472, 6_879_072], "full": [2_390_106_624, 10_457_056]}
    backbone = count(table.config("resnet50"), "weights", classes=751)
    assert backbone == count(table.config("resnet50"), "weights", classes=9), "no classifier is counted"
    assert backbone / 1e6 == pytest.approx(23.5, abs=0.1)
    assert not table.trained
    assert "not part of this package" in table.reason("vgg")


def test_table_4_of_aanet_prints_its_mean() -> None:
    accuracies = printed("aanet", "table4", "aanet152")
    mean = accuracies.pop("mean")
    assert len(accuracies) == 12
    assert sum(accuracies.values()) / 12 == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("aap_reid", "table1", "aap_reid"), ("aap_reid", "table3", "resnet50_cwa_mul")),
        (("dual_attention", "table1", "ours"), ("dual_attention", "table2", "se_sa")),
        (("aanet", "table1", "aanet50"), ("aanet", "table3", "g_p_a_aa_learned")),
        (("attention_driven", "table3", "full"), ("attention_driven", "table6", "both_best")),
        (("attention_driven", "table6", "both"), ("attention_driven", "table7", "all_with")),
        (("attention_driven", "table6", "both"), ("attention_driven", "table8", "with")),
        (("attention_driven", "table6", "both"), ("attention_driven", "table10", "lambda_0.5")),
        (("attention_driven", "table6", "inter"), ("attention_driven", "table7", "all_without")),
        (("attention_driven", "table6", "inter"), ("attention_driven", "table9", "inter")),
        (("attention_driven", "table6", "aligned"), ("attention_driven", "table9", "concat")),
    ],
)
def test_a_model_in_two_tables_has_the_same_numbers_and_settings(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    column = load_table(*one[:2]).columns[0]
    left, right = printed(*one, column), printed(*other, column)
    common = left.keys() & right.keys()
    assert {"mAP", "rank-1"} <= common
    assert {metric: left[metric] for metric in common} == {metric: right[metric] for metric in common}
    configs = [load_table(*place[:2]).config(place[2], column.data) for place in (one, other)]
    assert parameters(configs[0]) == parameters(configs[1])
    assert configs[0].loss == configs[1].loss
    assert configs[0].parts == configs[1].parts


def test_the_table_of_beta_was_made_near_the_default_overlap() -> None:
    row = printed("attention_driven", "table11", "beta_5")
    assert (row["rank-1"], row["mAP"]) == (94.65, 85.22)
    table = load_table("attention_driven", "table11")
    assert [table.config(name).parts.overlap for name in ("beta_0", "beta_3")] == [0, 3 / 48]


def test_ablations_are_switches() -> None:
    table1 = load_table("aap_reid", "table1")
    assert table1.config("stride").model.options == {"band": False, "attention": "none"}
    assert table1.config("baseline").model.options == {"last_stride": 2, "band": False, "attention": "none"}
    assert table1.config("cwa_all").model.options == {"attention_stages": (1, 2, 3, 4)}
    table6 = load_table("attention_driven", "table6")
    assert table6.config("baseline").parts.by == "strips"
    assert table6.config("aligned").parts.by == "pose"
    loss = table6.config("intra").loss
    assert (loss.name, getattr(loss, "inter", None)) == ("branches", 0), "branches alone are trained, joined at test"


def test_data_sets_change_what_the_paper_changes_on_them() -> None:
    best = load_table("attention_driven", "table6")
    weights = [best.config("both_best", column.data).loss.model_dump()["intra"] for column in best.columns]
    assert weights == [0.1, 0.1, 0.2, 0.2]
    aanet = load_table("aanet", "table1")
    assert aanet.config("aanet50", DUKE.data).model.options == {"schema": "dukemtmc"}
    assert aanet.config("aanet50", "pedestrians").model.options == {}
    assert aanet.config("aanet152").sampler.p == 24


def test_what_cannot_be_run_says_why() -> None:
    table = load_table("attention_driven", "table12")
    assert [row for row in table.rows if table.reason(row)] == ["alexnet", "vgg", "googlenet"]
    assert load_table("attention_driven", "table5").reason("full") == ""
    assert load_table("aanet", "table4").reason("aanet152") == ""
    reasons = [load_table(p, t).reason(row) for p, t, row in ROWS]
    assert all("\n" not in reason and len(reason) < 110 for reason in reasons)


def test_re_ranked_rows_are_runs_of_others() -> None:
    table = load_table("aap_reid", "table1")
    for name in ("baseline", "stride", "band", "cwa_all", "aap_reid"):
        assert table.run(f"{name}_reranked") == table.run(name) == name
        assert table.config(f"{name}_reranked") == table.config(name)
    aanet = load_table("aanet", "table1")
    assert aanet.config("aanet152_reranked", DUKE.data) == aanet.config("aanet152", DUKE.data)
    assert Rerank(k1=20, k2=6, lam=0.3) == RERANKED
    faulty = Row(title="", reranks="one", printed=((1.0,),), changes={"epochs": 1})
    one = Row(title="", printed=((1.0,),))
    with pytest.raises(ValueError, match="re-ranks 'one': expected another row, and no changes"):
        Table(
            recipe="aap_reid", paper="", name="", title="", metrics=("mAP",), columns=(MARKET,),
            rows={"one": one, "again": faulty},
        )  # fmt: skip


def test_branches_are_read_from_the_run_of_all_of_them() -> None:
    table = load_table("attention_driven", "table7")
    names = ("global", "head", "upper_body", "upper_leg", "lower_leg", "parts")
    for way in ("with", "without"):
        for name in names:
            assert table.run(f"{name}_{way}") == f"all_{way}"
            assert table.row(f"{name}_{way}").branch == name
            assert table.run(f"{name}_alone_{way}") == f"{name}_alone_{way}"
        options = table.config(f"all_{way}").model.options
        assert {*create_model("attention_driven", **options).branches_of_embedding()} == {*names}
    assert table.config("head_alone_with").model.options == {"branches": ("head",), "intra": True}
    one = Row(title="", printed=((1.0,),))
    for faulty in ({"reads": "one"}, {"branch": "head"}, {"reads": "one", "branch": "x", "changes": {"epochs": 1}}):
        with pytest.raises(ValueError, match="expected a branch of another row, and no changes"):
            Table(
                recipe="aap_reid", paper="", name="", title="", metrics=("mAP",), columns=(MARKET,),
                rows={"one": one, "of": Row(title="", printed=((1.0,),), **faulty)},
            )  # fmt: skip


def test_the_column_is_the_data_sets_own_or_the_first() -> None:
    table = load_table("aap_reid", "table1")
    assert [table.column(name) for name in (DUKE.data, CUHK03.data, "pedestrians")] == [DUKE, CUHK03, MARKET]
    assert load_table("attention_driven", "table5").column("pedestrians") == CUHK03_LABELED


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (("aap_ried", "table1"), "unknown paper 'aap_ried'. Did you mean aap_reid"),
        (("aap_reid", "tabel1"), "unknown table of aap_reid 'tabel1'. Did you mean table1"),
        (("aap_reid", "table9"), "Did you mean"),
    ],
)
def test_unknown_names_are_rejected_with_the_nearest(ask: tuple[str, str], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        load_table(*ask)


def test_an_unknown_row_is_rejected_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown row of aap_reid's Table 1 'strid'. Did you mean stride"):
        load_table("aap_reid", "table1").row("strid")


def test_a_row_with_a_number_too_few_is_a_mistake() -> None:
    row = Row(title="x", printed=((1.0,),))
    with pytest.raises(ValueError, match="row x of Table 1: expected 2 numbers"):
        Table(
            recipe="aap_reid", paper="", name="Table 1", title="", metrics=("mAP", "rank-1"), columns=(MARKET,),
            rows={"x": row},
        )  # fmt: skip


def test_what_is_counted_needs_no_training() -> None:
    tables = {(paper, table) for paper, table, _ in ROWS}
    counted = {place for place in tables if not load_table(*place).trained}
    assert counted == {("aap_reid", "table2"), ("attention_driven", "table12")}
    assert all(metric in COUNTED for place in counted for metric in load_table(*place).metrics)


def test_a_column_is_called_as_its_dataset_is() -> None:
    """Numbers stand beside the column whose name the dataset has: in another spelling none would match."""
    columns = {column.data for paper in PAPERS for table in PAPERS[paper].values() for column in table.columns}
    assert len(columns) == 5
    for name in columns:
        layout, _, text = name.partition(":")
        known = DATASETS[layout].settings
        values = {key: known[key](value) for key, value in (part.split("=") for part in text.split(",") if part)}
        assert name == (variant_name(layout, values) if values else layout)
