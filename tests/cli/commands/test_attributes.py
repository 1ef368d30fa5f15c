"""Attributes on the command line: predicted, searched for, and compared with what is known."""

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
def describer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an untrained model that predicts attributes."""
    folder = tmp_path_factory.mktemp("describer")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("aanet", num_classes=3, **OPTIONS)
    save_model(RunFolder(folder), model, options=OPTIONS, size=(32, 16))
    return folder


@pytest.fixture(scope="session")
def embedded(describer: Path, figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from passerby.gallery import Gallery
    from passerby.inference.load import load

    file = tmp_path_factory.mktemp("gallery") / "g.parquet"
    Gallery.from_folder(load(describer), figures).save(file)
    return file


def first(folder: Path) -> Path:
    return min(path for path in folder.rglob("*.jpg"))


def test_a_picture_in_words(run, describer: Path, figures: Path) -> None:
    done = run("attributes", describer, first(figures / "query"))
    assert (done.code, done.err) == (0, "")
    heading, *rows = done.out.splitlines()
    assert heading == str(first(figures / "query"))
    assert len(rows) == 12
    for row, group in zip(rows, MARKET.groups, strict=True):
        value, probability = row.removeprefix(group.name).split()
        assert value in group.values
        assert 1 / len(group) - 0.01 <= float(probability) <= 1


def test_files_places_and_folders_in_the_order_given(run, describer: Path, figures: Path, tmp_path: Path) -> None:
    pictures = sorted((figures / "query").glob("*.jpg"))[:3]
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, picture in zip(("b.jpg", "a.jpg"), pictures, strict=False):
        shutil.copy(picture, folder / name)
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", folder)
    asked = (pictures[1], pictures[0], f"{archive}::b.jpg", folder, pictures[2])
    content = json.loads(run("attributes", describer, *asked, "--json").out)
    assert content["schema"] == "Market-1501"
    said = {each["path"]: each["attributes"] for each in content["pictures"]}
    assert list(said) == [
        str(pictures[1]), str(pictures[0]), f"{archive}::b.jpg", f"{folder}::a.jpg", f"{folder}::b.jpg",
        str(pictures[2]),
    ]  # fmt: skip
    assert said[f"{archive}::b.jpg"]["age"]["value"] == said[f"{folder}::b.jpg"]["age"]["value"]
    for group in MARKET.groups:
        told = said[str(pictures[0])][group.name]
        assert list(told["probabilities"]) == list(group.values)
        assert told["probability"] == max(told["probabilities"].values()) == told["probabilities"][told["value"]]
        again = said[f"{folder}::b.jpg"][group.name]["probabilities"]
        assert again == pytest.approx(told["probabilities"], abs=1e-4)


def test_of_a_dataset_all_pictures_are_described(run, describer: Path, figures: Path) -> None:
    content = json.loads(run("attributes", describer, figures, "--json").out)
    wanted = {f"{figures}::{file.relative_to(figures)}" for file in figures.rglob("*.jpg")}
    assert {each["path"] for each in content["pictures"]} == wanted


def test_a_picture_that_is_not_there_is_no_missing_folder(run, describer: Path, figures: Path, tmp_path: Path) -> None:
    for missing in (tmp_path / "nowhere.jpg", figures / "query" / "nobody.PNG"):
        done = run("attributes", describer, first(figures / "query"), missing)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"passerby: there is no picture {missing}; give a file")
    done = run("attributes", describer, tmp_path / "nowhere")
    assert "nowhere does not exist; give a directory" in done.err


def test_a_run_that_predicts_none_says_so(run, trained: Path, figures: Path) -> None:
    picture = first(figures / "query")
    for command in (
        ("attributes", trained, picture),
        ("search", trained, "--gallery", figures, "--attributes", "hat=yes"),
        ("evaluate", trained, "--data", figures, "--attributes", "own"),
    ):
        done = run(*command)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("passerby: aap_reid predicts no attributes")
        assert "passerby train aanet" in done.err


def test_a_search_for_attributes_alone(run, describer: Path, figures: Path, embedded: Path, tmp_path: Path) -> None:
    asked = ("search", describer, "--gallery", embedded, "--attributes", "upper_color=red,hat=no", "-k", 3)
    content = json.loads(run(*asked, "--json").out)
    assert content["query"] is None
    assert content["attributes"] == {"upper color": "red", "hat": "no"}
    assert content["ranked_by"] == "probability"
    probabilities = [hit["probability"] for hit in content["hits"]]
    assert probabilities == sorted(probabilities, reverse=True)
    done = run(*asked, "--output", tmp_path / "strip.png")
    heading, columns, *rows = done.out.splitlines()
    assert heading == (
        "All 16 pictures, ranked by the probability of upper color = red, hat = no (product over groups):"
    )
    assert columns.split() == ["rank", "probability", "person", "camera", "path"]
    assert [row.split()[-1] for row in rows[:3]] == [hit["path"] for hit in content["hits"]]
    assert rows[0].split()[1] == f"{probabilities[0]:.4f}"
    with Image.open(tmp_path / "strip.png") as picture:
        picture.load()


def test_a_search_that_attributes_filter(run, describer: Path, figures: Path, embedded: Path, tmp_path: Path) -> None:
    query = first(figures / "query")
    content = json.loads(run("attributes", describer, figures, "--json").out)
    told = {each["path"].partition("::")[2]: each["attributes"]["gender"]["value"] for each in content["pictures"]}
    values = {path: said for path, said in told.items() if path.startswith("bounding_box_test/")}
    for value in ("male", "female"):
        asked = ("search", describer, query, "--gallery", embedded, "-k", 16, "--attributes", f"gender={value}")
        content = json.loads(run(*asked, "--json").out)
        wanted = {path for path, said in values.items() if said == value}
        assert {hit["path"] for hit in content["hits"]} == wanted
        assert (content["matching"], content["ranked_by"]) == (len(wanted), "filter, then distance")
        distances = [hit["distance"] for hit in content["hits"]]
        assert distances == sorted(distances)
        done = run(*asked, "--output", tmp_path / f"{value}.png")
        found = f"Nearest to {query} among the {len(wanted)} of 16 pictures predicted gender = {value}:"
        nothing = f"None of 16 pictures is predicted gender = {value};"
        assert done.out.startswith(found if wanted else nothing)
        assert (tmp_path / f"{value}.png").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "there is nothing to search for"),
        (("--attributes", "hut=yes"), "Market-1501 has no attribute 'hut'; it has gender, hair_length"),
        (("--attributes", "age=ancient"), "age has no value 'ancient'; it has young, teenager, adult, old"),
        (("--attributes", "hat"), "GROUP=VALUE"),
    ],
)
def test_what_cannot_be_searched_for(
    run, describer: Path, embedded: Path, options: tuple[str, ...], message: str
) -> None:
    done = run("search", describer, "--gallery", embedded, *options)
    assert (done.code, done.out) == (1, "")
    assert message in done.err


def test_evaluation_prints_and_writes_accuracy_by_group(run, describer: Path, figures: Path, tmp_path: Path) -> None:
    asked = ("evaluate", describer, "--data", figures, "--attributes", "own")
    content = json.loads(run(*asked, "--json", "--output", tmp_path / "result.json").out)
    assert content == json.loads((tmp_path / "result.json").read_text())
    groups = content["attributes"]["groups"]
    assert list(groups) == [group.name for group in MARKET.groups]
    rows = {row.rsplit(maxsplit=5)[0].strip(): row.split() for row in run(*asked).out.splitlines()}
    for name, group in groups.items():
        shown = f"{100 * group['accuracy']:.2f} {100 * group['balanced']:.2f} {100 * group['majority_accuracy']:.2f}"
        assert rows[name][-5:] == [*shown.split(), group["majority"], str(group["pictures"])]
    table = "attributes.csv"
    by_file = run("evaluate", describer, "--data", figures, "--attributes", figures / table, "--json")
    assert json.loads(by_file.out) == content
    assert "attributes" not in json.loads(run("evaluate", describer, "--data", figures, "--json").out)
