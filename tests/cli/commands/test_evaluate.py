from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import passerby
from passerby.metrics.protocol import evaluate_embeddings
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder

README = Path(__file__).resolve().parents[3] / "README.md"


def test_the_table_states_the_protocol(run, trained: Path, figures: Path) -> None:
    done = run("evaluate", trained, "--data", figures)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(
        "Protocol: market1501-single-query, same person and camera ignored, AP step, distance global_local."
    )
    assert done.out.splitlines()[1].split() == ["rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP"]
    assert "8 queries, 16 gallery images." in done.out


def test_it_reproduces_the_metrics_of_training(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    done = run("evaluate", trained, "--data", figures, "--json", "--output", tmp_path / "result.json")
    assert json.loads(done.out) == json.loads((tmp_path / "result.json").read_text())
    assert json.loads(done.out) == json.loads((trained / "metrics.json").read_text())
    assert [f.name for f in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("distance", ["local", "global_local"])
def test_options_reach_the_protocol(run, trained: Path, figures: Path, distance: str) -> None:
    done = run("evaluate", trained, "--data", figures, "--distance", distance, "--ap", "trapezoid", "--json")
    protocol = json.loads(done.out)["protocol"]
    assert (protocol["distance"], protocol["average_precision"]) == (distance, "trapezoid")


def test_flip_tta_and_normalize_reach_the_metrics(run, trained: Path, figures: Path) -> None:
    asked = run("evaluate", trained, "--data", figures, "--flip-tta", "--no-normalize")
    assert "distance global_local of unnormalized embeddings, flip test-time augmentation." in asked.out.splitlines()[0]
    results = [
        json.loads(run("evaluate", trained, "--data", figures, "--json", *options).out)
        for options in ((), ("--flip-tta",), ("--no-normalize",))
    ]
    assert [(r["protocol"]["flip_tta"], r["protocol"]["normalize"]) for r in results] == [
        (False, True),
        (True, True),
        (False, False),
    ]
    assert len({r["minp"] for r in results}) == 3


def test_re_ranking_reaches_the_metrics(run, trained: Path, figures: Path) -> None:
    again = "--rerank", "--k1", 4, "--k2", 2, "--lam", 0
    done = run("evaluate", trained, "--data", figures, *again)
    assert "distance global_local, re-ranked by k-reciprocal neighbors (k1 4, k2 2, λ 0)." in done.out.splitlines()[0]
    plain, ranked, twice = (
        json.loads(run("evaluate", trained, "--data", figures, "--json", *options).out)
        for options in ((), again, ("--rerank", "--torchreid-compat"))
    )
    assert plain["protocol"]["rerank"] is None
    assert ranked["protocol"]["rerank"] == {"k1": 4, "k2": 2, "lam": 0.0, "torchreid_compat": False}
    assert twice["protocol"]["rerank"] == {"k1": 20, "k2": 6, "lam": 0.3, "torchreid_compat": True}
    assert plain["minp"] != ranked["minp"]
    many = run("evaluate", trained, "--data", figures, "--rerank", "--k1", 9999)
    assert many.code == 1
    assert re.search(r"by k1 = 9999 neighbors needs more .* than that, got \d+\. Fix: lower --k1", many.err)
    asked = run("evaluate", trained, "--data", figures, "--lam", 0, "--torchreid-compat")
    assert asked.code == 1
    assert "--lam, --torchreid-compat has no effect without re-ranking. Fix: add --rerank" in asked.err


def test_features_give_the_metrics_of_their_run(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    saved = tmp_path / "features.parquet"
    of_run = run(
        "evaluate", trained, "--data", figures, "--save-features", saved, "--json", "--distance", "global_local"
    )
    of_file = run("evaluate", "--features", saved, "--json", "--distance", "global_local")
    assert json.loads(of_file.out) == json.loads(of_run.out)
    draws = json.loads(run("evaluate", "--features", saved, "--json", "--draws", 5, "--seed", 2).out)
    assert (draws["protocol"]["draws"], draws["protocol"]["seed"], draws["mean_ap"]) == (5, 2, None)


def test_options_without_effect_on_features_are_errors(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    beside = run("evaluate", trained, "--data", figures, "--features", tmp_path / "f.npz", "--flip-tta")
    assert beside.code == 1
    assert "RUN, --data, --flip-tta has no effect" in beside.err
    assert "give RUN and --data DATA, or --features FILE" in run("evaluate", "--data", figures).err
    assert "is not a file of embeddings" in run("evaluate", "--features", tmp_path).err


def test_what_is_missing_is_named(run, trained: Path, tmp_path: Path) -> None:
    assert "--data is missing" in run("evaluate", trained).err
    assert "nope.parquet' does not exist" in run("evaluate", "--features", tmp_path / "nope.parquet").err


def test_each_query_has_a_row(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    table = tmp_path / "queries.csv"
    result = json.loads(run("evaluate", trained, "--data", figures, "--per-query", table, "--json").out)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert all(row["path"].endswith(".jpg") for row in rows)
    for name, column in (("mean_ap", "average_precision"), ("minp", "inverse_negative_penalty")):
        assert sum(float(row[column]) for row in rows) / 8 == pytest.approx(result[name])
    assert sum(row["first_rank"] == "1" for row in rows) / 8 == result["cmc"]["1"]
    low, high = result["intervals"]["mean_ap"]
    assert low <= result["mean_ap"] <= high
    draws = run("evaluate", trained, "--data", figures, "--per-query", table, "--draws", 2)
    assert "averages over 2 random galleries and has no results per query" in draws.err


def test_random_galleries(run, trained: Path, figures: Path) -> None:
    done = run("evaluate", trained, "--data", figures, "--draws", 7)
    assert "cuhk03-single-shot, one gallery image per person from another camera, mean of 7 draws (seed 0)" in done.out
    assert done.out.splitlines()[2].split()[4:] == ["–", "–"]
    assert "8 queries, 4 gallery images." in done.out


def test_a_run_keeps_its_random_galleries(run, figures: Path, tiny: tuple[str, ...], tmp_path: Path) -> None:
    settings = (*tiny, *(a for s in ("draws=3", "seed=11", "flip_tta=true") for a in ("--set", f"evaluation.{s}")))
    assert run("train", "aap_reid", "--data", figures, "--run", tmp_path / "run", *settings).code == 0
    own = json.loads(run("evaluate", tmp_path / "run", "--data", figures, "--json").out)
    assert own == json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert own == passerby.load(tmp_path / "run").evaluate(passerby.data.load(figures)).to_dict()
    assert {name: own["protocol"][name] for name in ("draws", "seed", "flip_tta")} == {
        "draws": 3,
        "seed": 11,
        "flip_tta": True,
    }
    for options, wanted in ((("--seed", 4), (3, 4)), (("--draws", 2), (2, 11)), (("--draws", 0), (0, 0))):
        found = json.loads(run("evaluate", tmp_path / "run", "--data", figures, "--json", *options).out)
        assert (found["protocol"]["draws"], found["protocol"]["seed"]) == wanted


def test_the_seed_decides_the_draws_and_nothing_else(run, trained: Path, figures: Path) -> None:
    asked = ("evaluate", trained, "--data", figures, "--json", "--draws", 1)
    curves = {json.dumps(json.loads(run(*asked, "--seed", seed).out)["cmc"]) for seed in range(6)}
    assert len(curves) > 1
    assert run(*asked, "--seed", 5).out == run(*asked, "--seed", 5).out
    done = run("evaluate", trained, "--data", figures, "--seed", 5)
    assert (done.code, done.out) == (1, "")
    assert "seed 5 would decide which galleries are drawn" in done.err
    assert "--draws N" in done.err


def untrained(folder: Path, name: str, options: dict[str, Any], **how: Any) -> Path:
    """Return a run of a model with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model(name, num_classes=3, **options)
    folder.mkdir()
    save_model(RunFolder(folder), model, options=options, **how)
    return folder


def readme(run: Path, data: Path) -> dict[str, Any]:
    """Return ``result`` of the README's Python block, run with these files."""
    (lines,) = (block.partition("```")[0] for block in README.read_text().split("```python\n")[1:])
    files = sorted((data / "query").iterdir())
    ours = {
        "passerby-demo/data": data,
        'load("street"': f'load("{run}"',
        "people.parquet": run / "people.parquet",
        "0016_c1s1_005787_00.jpg": files[0].name,
        "0016_c2s1_032185_00.jpg": files[-1].name,
    }
    for name, file in ours.items():
        assert name in lines
        lines = lines.replace(name, str(file))
    names: dict[str, Any] = {}
    exec(lines, names)
    result: passerby.EvalResult = names["result"]
    return result.to_dict()


def numbers(run: Path, data: Path, *, flip: bool = False, normalize: bool = True, **parts: Any) -> dict[str, Any]:
    """Return the metrics of the run's model with the given options."""
    model, dataset = passerby.load(run), passerby.data.load(data)
    model = passerby.Model(model.network, model.size, parts=parts)
    return passerby.evaluate(model, dataset, protocol=passerby.Protocol(flip_tta=flip, normalize=normalize)).to_dict()


def test_the_readme_gives_the_metrics_of_the_command_for_a_run_with_flip_tta(
    run, figures: Path, tmp_path: Path
) -> None:
    how = {"flip": True, "normalize": False}
    own = untrained(tmp_path / "run", "aligned_reid", {"backbone": "resnet18_half"}, size=(32, 16), evaluation=how)
    shown = readme(own, figures)
    assert shown == json.loads(run("evaluate", own, "--data", figures, "--json").out)
    assert shown == numbers(own, figures, **how)
    assert shown["minp"] != numbers(own, figures)["minp"]


def test_the_readme_gives_the_metrics_of_the_command_for_a_run_with_parts(
    run, tmp_path: Path, draw_people: Callable[..., Path]
) -> None:
    data = draw_people(tmp_path / "data", people=8, cameras=2, images=3, size=(64, 32))
    how = {"by": "strips", "overlap": 0.4}
    own = untrained(tmp_path / "run", "attention_driven", {"width": 0.125}, size=(64, 32), parts=how)
    shown = readme(own, data)
    assert shown == json.loads(run("evaluate", own, "--data", data, "--json").out)
    assert shown == numbers(own, data, normalize=False, **how)
    assert shown["minp"] != numbers(own, data, normalize=False, by="pose")["minp"]


@pytest.fixture
def branched(tmp_path: Path, draw_people: Callable[..., Path]) -> tuple[Path, Path]:
    """A run of a model with branches, and people to evaluate it on."""
    data = draw_people(tmp_path / "data", people=8, cameras=2, images=3, size=(64, 32))
    how = {"by": "strips", "overlap": 0.1}
    return untrained(tmp_path / "run", "attention_driven", {"width": 0.125}, size=(64, 32), parts=how), data


def test_a_branch_is_compared_alone_and_said(run, branched: tuple[Path, Path]) -> None:
    own, data = branched
    done = run("evaluate", own, "--data", data, "--branch", "upper_body")
    assert "distance global of unnormalized embeddings, branch upper_body alone." in done.out.splitlines()[0]
    found = json.loads(run("evaluate", own, "--data", data, "--branch", "upper_body", "--json").out)
    assert found["protocol"]["branch"] == "upper_body"
    model, dataset = passerby.load(own), passerby.data.load(data)
    sides = [model.embed_samples(dataset.source, samples) for samples in (dataset.query, dataset.gallery)]
    for side in sides:
        side.embedding[:, :384] = 0  # columns 384 to 511 are the upper body's
        side.embedding[:, 512:] = 0
    by_hand = evaluate_embeddings(*sides, passerby.Protocol(normalize=True))  # a branch has its own length
    assert (found["mean_ap"], found["minp"]) == pytest.approx((by_hand.mean_ap, by_hand.minp), abs=1e-9)
    whole = json.loads(run("evaluate", own, "--data", data, "--json").out)
    assert found["minp"] != whole["minp"]
    assert json.loads(run("evaluate", own, "--data", data, "--branch", "all", "--json").out) == whole


def test_a_branch_that_cannot_be_compared_is_refused(
    run, branched: tuple[Path, Path], trained: Path, figures: Path, tmp_path: Path
) -> None:
    own, data = branched
    for more, wrong in (
        (("--branch", "upper_bodi"), "unknown branch of attention_driven 'upper_bodi'. Did you mean upper_body"),
        (("--branch", "head", "--save-features", tmp_path / "f.parquet"), "Fix: leave --branch or --save-features out"),
    ):
        done = run("evaluate", own, "--data", data, *more)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert wrong in done.err
    for name in ("head", "all"):
        done = run("evaluate", trained, "--data", figures, "--branch", name)
        assert done.code == 1
        assert "has no branches to evaluate alone, or these options mix them: got branch" in done.err
    done = run("evaluate", "--features", tmp_path / "x.parquet", "--branch", "head")
    assert (done.code, "--branch has no effect with --features" in done.err) == (1, True)


def test_an_output_that_cannot_be_written_is_an_error(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    done = run("evaluate", trained, "--data", figures, "--output", tmp_path / "nowhere" / "result.json")
    assert done.code == 1
    assert "cannot write" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_run_is_an_error(run, figures: Path, tmp_path: Path) -> None:
    done = run("evaluate", tmp_path, "--data", figures)
    assert done.code == 1
    assert str(tmp_path) in done.err


@pytest.fixture
def blind(figures: Path, tmp_path: Path) -> Callable[[str, str], Path]:
    """``blind(first, others)``: the test images of the figures, with cameras as a table gives them."""

    def build(first: str, others: str) -> Path:
        root = tmp_path / "blind"
        shutil.copytree(figures, root, ignore=shutil.ignore_patterns("settings.json"))
        rows = ["path,pid,camid,split"]
        for folder, split in (("query", "query"), ("bounding_box_test", "gallery")):
            for name in sorted(file.name for file in (root / folder).iterdir()):
                camid = first if len(rows) == 1 else others
                rows.append(f"{folder}/{name},{int(name.split('_')[0])},{camid},{split}")
        (root / "dataset.csv").write_text("\n".join(rows))
        return root

    return build


@pytest.mark.parametrize("unknown", ["", "-1"])
def test_without_any_camera_all_count_and_it_is_said(run, trained: Path, blind, tmp_path: Path, unknown: str) -> None:
    data, file = blind(unknown, unknown), tmp_path / "f.parquet"
    plain = run("evaluate", trained, "--data", f"csv:{data}", "--save-features", file)
    asked = run("evaluate", trained, "--data", f"csv:{data}", "--all-cameras")
    of_file = run("evaluate", "--features", file)
    assert [done.code for done in (plain, asked, of_file)] == [0, 0, 0]
    assert plain.out == asked.out
    assert plain.out.startswith("Protocol: market1501-single-query, all cameras count,")
    assert f"passerby: no camera of csv at {data} is known, so the matches of all cameras count" in plain.err
    assert f"passerby: no camera of {file} is known" in of_file.err
    assert "no camera of" not in asked.err


def test_cameras_that_are_known_in_part_are_an_error_that_names_the_way_out(run, trained: Path, blind) -> None:
    data = blind("1", "-1")
    refused = run("evaluate", trained, "--data", f"csv:{data}")
    assert (refused.code, refused.out) == (1, "")
    assert "does not name the camera of" in refused.err
    assert "evaluate --all-cameras" in refused.err
    assert run("evaluate", trained, "--data", f"csv:{data}", "--all-cameras").code == 0


def test_random_galleries_are_not_drawn_from_all_cameras(run, trained: Path, figures: Path) -> None:
    done = run("evaluate", trained, "--data", figures, "--all-cameras", "--draws", 2)
    assert done.code == 1
    assert "leave out --all-cameras" in done.err
