"""``passerby figures ranked-list``: of runs, of files, and its errors."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from passerby.data.registry import load as load_dataset
from passerby.explain.images import ImageSet
from passerby.explain.ranked_lists import RankedList
from passerby.figures import ranked_list
from passerby.inference.embeddings_file import read_query_gallery, write_query_gallery
from passerby.inference.load import load
from passerby.metrics.protocol import evaluate_embeddings
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder
from passerby.types import Embeddings, Protocol, Rerank

if TYPE_CHECKING:
    from tests.cli.conftest import Run


class Drawn(NamedTuple):
    lists: dict[str, tuple[RankedList, ...]]
    title: str
    blurs: bool


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Drawn]:
    """Record what is drawn, in order."""
    kept, draw = list[Drawn](), ranked_list.ranked_list_figure

    def keep(lists: dict[str, Sequence[RankedList]], images: ImageSet, *, title: str) -> Figure:
        kept.append(Drawn({name: tuple(some) for name, some in lists.items()}, title, images.blurs))
        return draw(lists, images, title=title)

    monkeypatch.setattr(ranked_list, "ranked_list_figure", keep)
    return kept


@pytest.fixture(scope="module")
def sides(trained: Path, figures: Path) -> tuple[Embeddings, Embeddings]:
    model, dataset = load(trained), load_dataset(figures)
    query, gallery = (model.embed_samples(dataset.source, getattr(dataset, side)) for side in ("query", "gallery"))
    return query, gallery


@pytest.fixture
def features(sides: tuple[Embeddings, Embeddings], tmp_path: Path) -> Path:
    write_query_gallery(tmp_path / "theirs.parquet", *sides)
    return tmp_path / "theirs.parquet"


def precisions(sides: tuple[Embeddings, Embeddings], protocol: Protocol) -> dict[str, float]:
    each = evaluate_embeddings(*sides, protocol).per_query
    assert each is not None
    return dict(zip(each.paths, each.average_precision.tolist(), strict=True))


def test_the_worst_of_a_run_are_those_of_its_evaluation(
    run: Run, drawn: list[Drawn], trained: Path, figures: Path, sides: Any, tmp_path: Path
) -> None:
    file = tmp_path / "lists.png"
    command = ("figures", "ranked-list", trained, "--data", figures, "-n", 2, "-k", 3, "-o", file)
    done = run(*command, "--queries", "worst", "--junk", "--rerank", "--distance", "global")
    assert (done.code, done.out) == (0, f"The figure is in {file}.\n"), done.err
    with Image.open(file) as image:
        assert image.format == "PNG"
    measured = precisions(sides, Protocol(normalize=load(trained).protocol.normalize, rerank=Rerank()))
    lists = drawn[0].lists[trained.name]
    assert [one.average_precision for one in lists] == sorted(measured.values())[:2]
    assert all(measured[one.path] == one.average_precision and len(one.hits) == 3 for one in lists)
    assert not drawn[0].blurs  # the images are synthetic
    assert "the 2 of lowest average precision" in drawn[0].title
    assert "re-ranked" in drawn[0].title


def test_a_baseline_above_ours(run: Run, drawn: list[Drawn], trained: Path, figures: Path, tmp_path: Path) -> None:
    other = shutil.copytree(trained, tmp_path / "baseline")
    name = load_dataset(figures).query[0].path
    done = run(
        "figures", "ranked-list", other, trained, "--data", figures, "--queries", name.rsplit("/", 1)[-1],
        "--blur", "--distance", "local", "-o", tmp_path / "lists.png",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert list(drawn[0].lists) == ["baseline", trained.name]
    above, below = drawn[0].lists.values()
    assert above == below  # the same weights
    assert above[0].path == name
    assert drawn[0].blurs
    assert "distance local" in drawn[0].title


def test_precomputed_embeddings_and_their_images(
    run: Run, drawn: list[Drawn], features: Path, figures: Path, sides: Any, tmp_path: Path
) -> None:
    command = ("figures", "ranked-list", "--features", features, "-o", tmp_path / "lists.png")
    done = run(*command, "--images", figures, "--queries", "best", "-n", 1)
    assert done.code == 0, done.err
    (found,) = drawn[0].lists["theirs"]
    assert found.average_precision == max(precisions(sides, Protocol()).values())
    assert "--images PLACE" in run(*command).err
    message = run(*command, "--images", figures, "--attributes", "own", "--flip-tta").err
    assert "--attributes, --flip-tta has no effect" in message
    message = run(*command, "--images", tmp_path).err
    assert "has no file" in message


def test_lists_before_and_after_attributes_filter_them(
    run: Run, drawn: list[Drawn], figures: Path, tmp_path: Path
) -> None:
    options = {"backbone": "resnet18_half"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("aanet", num_classes=3, **options)
    (tmp_path / "aanet").mkdir()
    save_model(RunFolder(tmp_path / "aanet"), model, options=options, size=(32, 16))
    command = ("figures", "ranked-list", tmp_path / "aanet", "--data", figures, "-n", 2, "-o", tmp_path / "lists.png")
    done = run(*command, "--attributes", "own:gender,hat")
    assert done.code == 0, done.err
    assert list(drawn[0].lists) == ["aanet", "aanet, filtered"]
    for before, after in zip(*drawn[0].lists.values(), strict=True):
        assert before.path == after.path
        assert after.attributes is not None
        assert list(after.attributes.values) == ["gender", "hat"]
        assert (before.attributes, before.remaining) == (None, before.gallery_size)
        assert {hit.path for hit in after.hits if hit.rank_before and hit.rank_before <= 10} <= {
            hit.path for hit in before.hits
        }
    assert "no attribute 'shoes'" in run(*command, "--attributes", "shoes=red").err


def test_a_file_that_names_no_images(run: Run, features: Path, figures: Path, tmp_path: Path) -> None:
    sides = read_query_gallery(features)._asdict()
    kept = {
        f"{name}_{key}": column.numpy()
        for name, side in sides.items()
        for key, column in (("f", side.embedding), ("pid", side.pids), ("cam", side.camids), ("role", side.roles))
    }
    np.savez(tmp_path / "nameless.npz", query_path=sides["query"].paths, **kept)
    done = run(
        "figures",
        "ranked-list",
        "--features",
        tmp_path / "nameless.npz",
        "--images",
        figures,
        "-o",
        tmp_path / "x.png",
    )
    assert done.code == 1
    assert "does not name the images of its gallery. Fix: add gallery_path" in done.err
    assert not (tmp_path / "x.png").exists()


def test_contradicting_options_are_an_error(run: Run, trained: Path, figures: Path, tmp_path: Path) -> None:
    file = tmp_path / "lists.png"
    command = ("figures", "ranked-list", trained, "--data", figures, "-o", file)
    name = load_dataset(figures).query[0].path
    near = run(*command, "--queries", f"{name}x")
    assert (near.code, f"Did you mean {name}" in near.err) == (1, True)
    assert "-n 3 has no effect" in run(*command, "--queries", name, "-n", 3).err
    assert "k must be between 1 and the gallery's" in run(*command, "-k", 10_000).err
    assert "predicts no attributes" in run(*command, "--attributes", "own").err
    assert "add --data DATA" in run("figures", "ranked-list", trained, "-o", file).err
    assert "belongs to --features" in run(*command, "--images", figures).err
    assert "no folder" in run(*command[:-1], tmp_path / "nowhere" / "x.png").err
    assert run("figures", "ranked-list", trained, "--data", figures).code == 2
