"""Attributes on the command line: predictions, searches, and comparisons with labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from passerby.data.attributes.schema import MARKET
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder

OPTIONS = {"backbone": "resnet18_half"}


@pytest.fixture(scope="session")
def attribute_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an untrained model that predicts attributes."""
    folder = tmp_path_factory.mktemp("attribute_run")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("aanet", num_classes=3, **OPTIONS)
    save_model(RunFolder(folder), model, options=OPTIONS, size=(32, 16))
    return folder


@pytest.fixture(scope="session")
def embedded(attribute_run: Path, figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from passerby.gallery import Gallery
    from passerby.inference.load import load

    file = tmp_path_factory.mktemp("gallery") / "g.parquet"
    gallery = Gallery(load(attribute_run))
    gallery.add(figures)
    gallery.save(file)
    return file


def first(folder: Path) -> Path:
    return min(path for path in folder.rglob("*.jpg"))


def test_the_attributes_of_an_image(run, attribute_run: Path, figures: Path) -> None:
    done = run("attributes", attribute_run, first(figures / "query"))
    assert (done.code, done.err) == (0, "")
    heading, *rows = done.out.splitlines()
    assert heading == str(first(figures / "query"))
    assert len(rows) == 12
    for row, group in zip(rows, MARKET.groups, strict=True):
        value, probability = row.removeprefix(group.name).split()
        assert value in group.values
        assert 1 / len(group) - 0.01 <= float(probability) <= 1


def test_files_places_and_folders_in_the_order_given(run, attribute_run: Path, figures: Path, tmp_path: Path) -> None:
    images = sorted((figures / "query").glob("*.jpg"))[:3]
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, image in zip(("b.jpg", "a.jpg"), images, strict=False):
        shutil.copy(image, folder / name)
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", folder)
    arguments = (images[1], images[0], f"{archive}::b.jpg", folder, images[2])
    content = json.loads(run("attributes", attribute_run, *arguments, "--json").out)
    assert content["schema"] == "Market-1501"
    predicted = {each["path"]: each["attributes"] for each in content["images"]}
    assert list(predicted) == [
        str(images[1]), str(images[0]), f"{archive}::b.jpg", f"{folder}::a.jpg", f"{folder}::b.jpg",
        str(images[2]),
    ]  # fmt: skip
    assert predicted[f"{archive}::b.jpg"]["age"]["value"] == predicted[f"{folder}::b.jpg"]["age"]["value"]
    for group in MARKET.groups:
        entry = predicted[str(images[0])][group.name]
        assert list(entry["probabilities"]) == list(group.values)
        assert entry["probability"] == max(entry["probabilities"].values()) == entry["probabilities"][entry["value"]]
        again = predicted[f"{folder}::b.jpg"][group.name]["probabilities"]
        assert again == pytest.approx(entry["probabilities"], abs=1e-4)


def test_all_images_of_a_dataset(run, attribute_run: Path, figures: Path) -> None:
    content = json.loads(run("attributes", attribute_run, figures, "--json").out)
    expected = {f"{figures}::{file.relative_to(figures)}" for file in figures.rglob("*.jpg")}
    assert {each["path"] for each in content["images"]} == expected


def test_a_missing_image_is_not_called_a_missing_folder(
    run, attribute_run: Path, figures: Path, tmp_path: Path
) -> None:
    for missing in (tmp_path / "nowhere.jpg", figures / "query" / "missing.PNG"):
        done = run("attributes", attribute_run, first(figures / "query"), missing)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"passerby: there is no image {missing}. Fix: give a file")
    done = run("attributes", attribute_run, tmp_path / "nowhere")
    assert "nowhere does not exist. Fix: give a directory" in done.err


def test_a_run_without_attributes_is_an_error(run, trained: Path, figures: Path) -> None:
    image = first(figures / "query")
    for command in (
        ("attributes", trained, image),
        ("search", trained, "--gallery", figures, "--attributes", "hat=yes"),
        ("evaluate", trained, "--data", figures, "--attribute-labels", "own"),
    ):
        done = run(*command)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("passerby: aap_reid predicts no attributes")
        assert "passerby train aanet" in done.err


def test_a_search_by_attributes_only(run, attribute_run: Path, figures: Path, embedded: Path, tmp_path: Path) -> None:
    asked = ("search", attribute_run, "--gallery", embedded, "--attributes", "upper_color=red,hat=no", "-k", 3)
    content = json.loads(run(*asked, "--json").out)
    assert content["query"] is None
    assert content["attributes"] == {"upper color": "red", "hat": "no"}
    assert content["ranked_by"] == "probability"
    probabilities = [hit["probability"] for hit in content["hits"]]
    assert probabilities == sorted(probabilities, reverse=True)
    done = run(*asked, "--output", tmp_path / "hits.png")
    heading, columns, *rows = done.out.splitlines()
    assert heading == ("All 16 images, ranked by the probability of upper color = red, hat = no (product over groups):")
    assert columns.split() == ["rank", "probability", "person", "camera", "path"]
    assert [row.split()[-1] for row in rows[:3]] == [hit["path"] for hit in content["hits"]]
    assert rows[0].split()[1] == f"{probabilities[0]:.4f}"
    with Image.open(tmp_path / "hits.png") as image:
        image.load()


def test_a_search_filtered_by_attributes(
    run, attribute_run: Path, figures: Path, embedded: Path, tmp_path: Path
) -> None:
    query = first(figures / "query")
    content = json.loads(run("attributes", attribute_run, figures, "--json").out)
    genders = {each["path"].partition("::")[2]: each["attributes"]["gender"]["value"] for each in content["images"]}
    gallery = {path: gender for path, gender in genders.items() if path.startswith("bounding_box_test/")}
    for value in ("male", "female"):
        asked = ("search", attribute_run, query, "--gallery", embedded, "-k", 16, "--attributes", f"gender={value}")
        content = json.loads(run(*asked, "--json").out)
        expected = {path for path, gender in gallery.items() if gender == value}
        assert {hit["path"] for hit in content["hits"]} == expected
        assert (content["matching"], content["ranked_by"]) == (len(expected), "filter, then distance")
        distances = [hit["distance"] for hit in content["hits"]]
        assert distances == sorted(distances)
        done = run(*asked, "--output", tmp_path / f"{value}.png")
        found = f"Closest to {query} among the {len(expected)} of 16 images predicted gender = {value}:"
        nothing = f"None of 16 images is predicted gender = {value}."
        assert done.out.startswith(found if expected else nothing)
        assert (tmp_path / f"{value}.png").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "nothing to search for"),
        (("--attributes", "hut=yes"), "Market-1501 has no attribute 'hut'; it has gender, hair_length"),
        (("--attributes", "age=ancient"), "age has no value 'ancient'; it has young, teenager, adult, old"),
        (("--attributes", "hat"), "GROUP=VALUE"),
    ],
)
def test_invalid_searches_are_errors(
    run, attribute_run: Path, embedded: Path, options: tuple[str, ...], message: str
) -> None:
    done = run("search", attribute_run, "--gallery", embedded, *options)
    assert (done.code, done.out) == (1, "")
    assert message in done.err


def test_evaluation_reports_accuracy_by_group(run, attribute_run: Path, figures: Path, tmp_path: Path) -> None:
    asked = ("evaluate", attribute_run, "--data", figures, "--attribute-labels", "own")
    content = json.loads(run(*asked, "--json", "--output", tmp_path / "result.json").out)
    assert content == json.loads((tmp_path / "result.json").read_text())
    groups = content["attributes"]["groups"]
    assert list(groups) == [group.name for group in MARKET.groups]
    rows = {row.rsplit(maxsplit=5)[0].strip(): row.split() for row in run(*asked).out.splitlines()}
    for name, group in groups.items():
        shown = f"{100 * group['accuracy']:.2f} {100 * group['balanced']:.2f} {100 * group['majority_accuracy']:.2f}"
        assert rows[name][-5:] == [*shown.split(), group["majority"], str(group["images"])]
    table = "attributes.csv"
    by_file = run("evaluate", attribute_run, "--data", figures, "--attribute-labels", figures / table, "--json")
    assert json.loads(by_file.out) == content
    assert "attributes" not in json.loads(run("evaluate", attribute_run, "--data", figures, "--json").out)
