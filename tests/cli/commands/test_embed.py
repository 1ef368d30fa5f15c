from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from passerby.cli import app
from passerby.inference.embeddings_file import read_embeddings
from passerby.inference.load import load
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("osnet_x0_25", num_classes=3)
    save_model(RunFolder(folder), model, options={}, size=(64, 32))
    return folder


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    folder.mkdir()
    for i in range(5):
        Image.linear_gradient("L").resize((32, 64)).rotate(40 * i).convert("RGB").save(folder / f"{i}.png")
    return folder


@pytest.fixture
def market(tmp_path: Path) -> Path:
    root = tmp_path / "mini-market"
    for folder, names in {
        "bounding_box_train": ["0002_c1s1_000001_00", "0002_c2s1_000002_00"],
        "query": ["0001_c1s1_000010_00"],
        "bounding_box_test": ["0001_c2s1_000022_00", "0003_c1s1_000024_00", "-1_c1s1_000021_00"],
    }.items():
        (root / folder).mkdir(parents=True)
        for i, name in enumerate(names, len(folder)):  # all differ
            Image.radial_gradient("L").resize((32, 64)).rotate(25 * i).convert("RGB").save(
                root / folder / f"{name}.jpg"
            )
    return root


def passerby(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def error_line(result: Result) -> str:
    """Return the only line of a failed command."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("passerby: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.stderr
    return lines[0]


def test_a_folder_is_embedded(run_folder: Path, people: Path, tmp_path: Path) -> None:
    result = passerby("embed", run_folder, people, "-o", tmp_path / "p.parquet", "--batch-size", 2)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("5 pictures of ")
    assert "p.parquet" in result.stdout
    stored, model = read_embeddings(tmp_path / "p.parquet"), load(run_folder)
    assert stored.embeddings.paths == tuple(f"{i}.png" for i in range(5))
    assert (stored.origin.fingerprint, stored.origin.model) == (model.fingerprint, "osnet_x0_25")
    assert (stored.origin.size, stored.origin.root) == ((64, 32), str(people.resolve()))
    direct = model.embed([people / "3.png"]).embedding[0]
    assert torch.allclose(stored.embeddings.embedding[3], direct, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("options", "count"), [([], 3), (["--split", "query"], 1), (["--split", "all"], 6)])
def test_splits_of_a_dataset(run_folder: Path, market: Path, tmp_path: Path, options: list[str], count: int) -> None:
    result = passerby("embed", run_folder, f"market1501:{market}", "-o", tmp_path / "p.parquet", *options)
    assert result.exit_code == 0, result.output
    embeddings = read_embeddings(tmp_path / "p.parquet").embeddings
    assert len(embeddings) == count
    assert embeddings.pids is not None


def test_an_existing_output_is_an_error_before_any_work(run_folder: Path, people: Path, tmp_path: Path) -> None:
    output = tmp_path / "p.parquet"
    output.write_bytes(b"precious")
    message = error_line(
        passerby("embed", tmp_path / "no-run", people, "-o", output)
    )  # the missing run is not even noticed
    assert "--overwrite" in message
    assert output.read_bytes() == b"precious"
    assert passerby("embed", run_folder, people, "-o", output, "--overwrite").exit_code == 0
    assert len(read_embeddings(output).embeddings) == 5


def test_invalid_arguments_are_errors(run_folder: Path, people: Path, tmp_path: Path) -> None:
    output = tmp_path / "p.parquet"
    (tmp_path / "empty").mkdir()
    assert "no images" in error_line(passerby("embed", run_folder, tmp_path / "empty", "-o", output))
    assert "does not exist" in error_line(passerby("embed", run_folder, tmp_path / "nowhere", "-o", output))
    assert "no folder" in error_line(passerby("embed", run_folder, people, "-o", tmp_path / "x" / "p.parquet"))
    assert "expected a name that ends in .parquet" in error_line(
        passerby("embed", run_folder, people, "-o", tmp_path / "p.csv")
    )
    assert "no finished model" in error_line(passerby("embed", tmp_path / "empty", people, "-o", output))
    (people / "2.png").write_bytes(b"\x89PNG but no more")
    assert "2.png" in error_line(passerby("embed", run_folder, people, "-o", output))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "people"]


def test_a_gallery_with_flip_tta_needs_flip_tta(run_folder: Path, people: Path, tmp_path: Path) -> None:
    flipped = tmp_path / "flipped.parquet"
    assert passerby("embed", run_folder, people, "-o", flipped, "--flip-tta").exit_code == 0
    assert read_embeddings(flipped).origin.flip_tta
    asked = ("search", run_folder, people / "2.png", "--gallery", flipped)
    assert "search with --flip-tta" in error_line(passerby(*asked))
    assert "search with --flip-tta" in error_line(passerby(*asked, "--no-flip-tta"))
    assert "search with --normalize" in error_line(passerby(*asked, "--flip-tta", "--no-normalize"))
    assert "2.png" in passerby(*asked, "--flip-tta", "-k", 1).stdout


def test_one_file_serves_evaluation_and_search(run_folder: Path, market: Path, tmp_path: Path) -> None:
    """A file of all splits is evaluated as the run is; what an evaluation saves is searched."""
    data = f"market1501:{market}"
    assert passerby("embed", run_folder, data, "-o", tmp_path / "all.parquet", "--split", "all").exit_code == 0
    of_run = passerby("evaluate", run_folder, "--data", data, "--save-features", tmp_path / "f.parquet", "--json")
    assert of_run.exit_code == 0, of_run.output
    for file in ("all.parquet", "f.parquet"):
        of_file = passerby("evaluate", "--features", tmp_path / file, "--json")
        assert of_file.exit_code == 0, of_file.output
        found, expected = json.loads(of_file.stdout), json.loads(of_run.stdout)
        assert expected["details"].pop("gallery_junk") == 1
        assert found["details"].pop("gallery_junk") == (file == "all.parquet"), "saved features hold no junk"
        assert found == expected
    query = next((market / "query").iterdir())
    found = passerby("search", run_folder, query, "--gallery", tmp_path / "f.parquet", "-k", 1, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["hits"][0]["path"] == f"query/{query.name}"


@pytest.fixture
def broken(people: Path) -> Path:
    """The folder of five images with three more that cannot be read."""
    (people / "cut.png").write_bytes((people / "0.png").read_bytes()[:60])
    (people / "page.jpg").write_bytes(b"<html>404</html>")
    (people / "zero.jpg").touch()
    return people


def test_broken_images_are_skipped_if_asked_and_listed(run_folder: Path, broken: Path, tmp_path: Path) -> None:
    message = error_line(passerby("embed", run_folder, broken, "-o", tmp_path / "p.parquet"))
    assert f"passerby data check {broken}" in message
    assert "--skip-broken" in message
    for batch_size in (1, 3):
        output = tmp_path / f"{batch_size}.parquet"
        result = passerby("embed", run_folder, broken, "-o", output, "--skip-broken", "--batch-size", batch_size)
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith("5 pictures of ")
        assert "; 3 that cannot be read were skipped." in result.stdout
        skipped = [line for line in result.stderr.splitlines() if line.startswith("passerby: skipped: ")]
        assert [line.split(":")[2].strip() for line in skipped] == ["cut.png", "page.jpg", "zero.jpg"]
        stored = read_embeddings(output)
        assert stored.embeddings.paths == tuple(f"{i}.png" for i in range(5))
        direct = load(run_folder).embed([broken / "3.png"]).embedding[0]
        assert torch.allclose(stored.embeddings.embedding[3], direct, rtol=1e-4, atol=1e-5)


def test_labels_stay_with_their_images_when_some_are_skipped(run_folder: Path, market: Path, tmp_path: Path) -> None:
    next((market / "bounding_box_test").glob("0001*")).write_bytes(b"")
    output = tmp_path / "p.parquet"
    result = passerby("embed", run_folder, market, "-o", output, "--skip-broken", "--split", "all")
    assert result.exit_code == 0, result.output
    stored = read_embeddings(output)
    labels = zip(stored.embeddings.paths, stored.embeddings.pids.tolist(), strict=True)
    pids = {path.rsplit("/")[-1]: pid for path, pid in labels}
    assert pids == {name: int(name.split("_")[0]) for name in pids}
    of_path = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
    assert [of_path[path.split("/")[0]] for path in stored.embeddings.paths] == list(stored.splits)
    assert len(stored.splits) == 5


def test_nothing_but_broken_images(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "zero.jpg").touch()
    result = passerby("embed", run_folder, folder, "-o", tmp_path / "p.parquet", "--skip-broken")
    assert "none of the 1 images" in error_line(result)


def test_an_empty_path_is_not_the_current_folder(run_folder: Path, people: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(people)
    assert "got an empty text" in error_line(passerby("embed", run_folder, "", "-o", tmp_path / "p.parquet"))


def test_folders_that_look_like_a_dataset_are_embedded_with_a_line(
    run_folder: Path, people: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (people / "image_query").mkdir()
    (people / "0.png").rename(people / "image_query" / "0.png")
    result = passerby("embed", run_folder, people, "-o", tmp_path / "p.parquet")
    assert result.exit_code == 0, result.output
    assert "5 images are taken without labels" in caplog.text
    assert "'image_query' (named like a split)" in caplog.text
