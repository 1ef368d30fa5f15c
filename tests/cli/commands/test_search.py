from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner, Result

from passerby.cli import app
from passerby.data.images.blur_faces import UPPER
from passerby.figures.search_result import search_figure
from passerby.inference.load import load
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder
from passerby.types import Hit


def make_run(folder: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = create_model("osnet_x0_25", num_classes=3)
    save_model(RunFolder(folder), model, options={}, size=(64, 32))
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [make_run(tmp_path_factory.mktemp("run"), seed) for seed in (0, 1)]


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """A miniature Market-1501 whose query is, bit for bit, one of the gallery images of its person."""
    root = tmp_path / "mini-market"
    for folder, names in {
        "bounding_box_train": ["0002_c1s1_000001_00", "0002_c2s1_000002_00"],
        "query": ["0001_c1s1_000022_00"],
        "bounding_box_test": ["0001_c2s1_000022_00", "0003_c1s1_000024_00", "0004_c1s1_000026_00"],
    }.items():
        (root / folder).mkdir(parents=True)
        for name in names:
            pixels = np.random.default_rng(int(name[10:16])).integers(0, 256, (4, 2, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((32, 64)).save(root / folder / f"{name}.jpg", quality=95)
    return root


@pytest.fixture
def embedded(runs: list[Path], market: Path, tmp_path: Path) -> Path:
    from passerby.gallery import Gallery

    gallery = Gallery(load(runs[0]))
    gallery.add(market)
    gallery.save(tmp_path / "market.parquet")
    return tmp_path / "market.parquet"


def passerby(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    content: dict[str, Any] = json.loads(result.stdout)  # nothing else on stdout
    return content


def error_line(result: Result) -> str:
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("passerby: ")]
    assert len(lines) == 1
    return lines[0]


def test_the_true_match_is_first(runs: list[Path], market: Path, embedded: Path) -> None:
    query = f"{market}::query/0001_c1s1_000022_00.jpg"
    result = passerby("search", runs[0], query, "--gallery", embedded, "-k", 2)
    assert result.exit_code == 0, result.output
    title, heading, first, second = [line for line in result.stdout.splitlines() if line.strip()][:4]
    assert "person 1" in title
    assert heading.split() == ["rank", "distance", "person", "camera", "path"]
    assert first.split()[:3] == ["1", "0.0000", "1"]
    assert first.split()[4:] == ["bounding_box_test/0001_c2s1_000022_00.jpg"]
    assert second.split()[0] == "2"
    assert second.split()[2] in ("3", "4")


def test_json_and_only_json(runs: list[Path], market: Path, embedded: Path) -> None:
    query = market / "query" / "0001_c1s1_000022_00.jpg"
    content = answer(passerby("search", runs[0], query, "--gallery", embedded, "--json"))
    assert content["query"] == {"path": str(query), "pid": None, "camid": None}
    assert [h["rank"] for h in content["hits"]] == [1, 2, 3]
    first = content["hits"][0]
    assert set(first) == {"rank", "path", "distance", "pid", "camid", "role", "probability"}
    assert (first["path"], first["pid"]) == ("bounding_box_test/0001_c2s1_000022_00.jpg", 1)


def test_a_folder_or_archive_is_embedded_on_the_way(runs: list[Path], market: Path, embedded: Path) -> None:
    archive = shutil.make_archive(str(market), "zip", market)
    query = f"{archive}::query/0001_c1s1_000022_00.jpg"
    stored = answer(passerby("search", runs[0], query, "--gallery", embedded, "--json"))
    for place in (market, archive, f"market1501:{archive}"):
        content = answer(passerby("search", runs[0], query, "--gallery", place, "--json"))
        assert content["query"] == {"path": query, "pid": 1, "camid": content["query"]["camid"]}
        assert [h["path"] for h in content["hits"]] == [h["path"] for h in stored["hits"]]


def test_the_figure(runs: list[Path], market: Path, embedded: Path, tmp_path: Path) -> None:
    figure, query = tmp_path / "hits.png", f"{market}::query/0001_c1s1_000022_00.jpg"
    content = answer(passerby("search", runs[0], query, "--gallery", embedded, "--json", "--output", figure))
    assert len(content["hits"]) == 3
    with Image.open(figure) as image:
        assert image.format == "PNG"
        image.load()
    assert "hits.png" in passerby("search", runs[0], query, "--gallery", embedded, "--output", figure).stdout


def test_heads_of_real_people_are_blurred_in_figures(
    runs: list[Path], market: Path, embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, shown = market / "query" / "0001_c1s1_000022_00.jpg", list[list[Image.Image]]()

    def recorded(query: Image.Image, hits: Sequence[tuple[Hit, Image.Image]], **known: Any) -> Figure:
        shown.append([query, *(image for _, image in hits)])
        return search_figure(query, hits, **known)

    monkeypatch.setattr("passerby.figures.search_result.search_figure", recorded)
    asked = ("search", runs[0], query, "--gallery", embedded, "--output", tmp_path / "hits.png")
    assert [passerby(*asked, *how).exit_code for how in ((), ("--blur",), ("--no-blur",))] == [0, 0, 0]
    default, blurred, sharp = ([np.asarray(image, float) for image in images] for images in shown)
    edge = round(UPPER * 64)
    with Image.open(query) as image:
        assert np.array_equal(sharp[0], image.convert("RGB"))
    for a, b, c in zip(default, blurred, sharp, strict=True):
        assert np.array_equal(a, b)
        assert np.abs(a[:edge] - c[:edge]).mean() > 2
    assert "add --output" in error_line(passerby(*asked[:-2], "--blur"))


def test_images_of_a_gallery_from_elsewhere_are_named_by_the_user(
    runs: list[Path], market: Path, embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("search", runs[0], market / "query" / "0001_c1s1_000022_00.jpg", "--gallery", embedded)
    monkeypatch.setenv("PASSERBY_CACHE", str(tmp_path / "of another user"))
    figure = tmp_path / "hits.png"
    assert passerby(*asked).exit_code == 0
    assert "Fix: name the folder" in error_line(passerby(*asked, "--output", figure))
    assert not figure.exists()
    assert passerby(*asked, "--output", figure, "--images", market).exit_code == 0
    assert "add --output" in error_line(passerby(*asked, "--images", market))
    by_folder = (*asked[:-1], market, "--output", figure, "--images", market)
    assert "--images belongs to a .parquet file" in error_line(passerby(*by_folder))


def test_invalid_searches_are_errors(runs: list[Path], market: Path, embedded: Path, tmp_path: Path) -> None:
    query = market / "query" / "0001_c1s1_000022_00.jpg"
    asked = ("search", runs[0], query, "--gallery", embedded)
    assert "another model" in error_line(passerby("search", runs[1], query, "--gallery", embedded))
    assert "no image" in error_line(passerby("search", runs[0], tmp_path / "missing.jpg", "--gallery", embedded))
    assert "No more than these 3 images can be found, fewer than -k 4." in passerby(*asked, "-k", 4).output
    assert passerby(*asked, "-k", 0).exit_code == 2
    assert "no folder" in error_line(passerby(*asked, "--output", tmp_path / "nowhere" / "hits.png"))
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(query.read_bytes()[:700])
    assert "cut.jpg" in error_line(passerby("search", runs[0], cut, "--gallery", embedded))
    embedded.write_bytes(embedded.read_bytes()[:-20])
    assert "not a whole Parquet file" in error_line(passerby(*asked))
    assert "none.parquet' does not exist: expected a file of embeddings" in error_line(
        passerby(*asked[:-1], tmp_path / "none.parquet")
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.jpg", "market.parquet", "mini-market"]


def test_a_figure_of_moved_images_is_not_half_written(
    runs: list[Path], market: Path, embedded: Path, tmp_path: Path
) -> None:
    moved = market.rename(tmp_path / "moved")
    query = moved / "query" / "0001_c1s1_000022_00.jpg"
    message = error_line(passerby("search", runs[0], query, "--gallery", embedded, "--output", tmp_path / "hits.png"))
    assert "not where they were embedded" in message
    assert not (tmp_path / "hits.png").exists()


def test_a_broken_image_of_a_folder_is_named_and_skipped_if_asked(
    runs: list[Path], market: Path, embedded: Path
) -> None:
    query = market / "query" / "0001_c1s1_000022_00.jpg"
    (market / "bounding_box_test" / "0003_c1s1_000024_00.jpg").write_bytes(b"<html>")
    arguments = "search", runs[0], query, "--gallery", market
    message = error_line(passerby(*arguments))
    assert f"passerby data check {market}. Fix: replace them, or embed the others with --skip-broken" in message
    result = passerby(*arguments, "--skip-broken", "--json")
    assert [hit["pid"] for hit in answer(result)["hits"]] == [1, 4]
    assert "passerby: skipped: bounding_box_test/0003_c1s1_000024_00.jpg" in result.stderr
    assert "Fix: leave it out" in error_line(passerby(*arguments[:4], embedded, "--skip-broken"))


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_a_broken_image_stops_other_commands_with_a_next_step(runs: list[Path], market: Path, command: str) -> None:
    Image.effect_noise((32, 64), 50).save(market / "query" / "0001_c1s1_000022_00.jpg")  # no longer in the gallery
    for folder in ("bounding_box_train", "bounding_box_test"):
        next((market / folder).glob("000[23]_c1*")).write_bytes(b"<html>")
    message = error_line(passerby(command, runs[0], "--data", market))
    assert f"passerby data check {market}. Fix: replace them, or leave them out" in message
