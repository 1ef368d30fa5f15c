from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import passerby
from passerby.metrics.calibration import Calibration, read_calibration, write_calibration
from passerby.metrics.probability import Sigmoid
from passerby.metrics.verification import Threshold


@pytest.fixture
def calibrated(run, trained: Path, figures: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    done = run("calibrate", folder, "--data", figures)
    assert (done.code, done.err) == (0, "")
    return folder


def with_thresholds(folder: Path, near: float, far: float) -> Calibration:
    """Write and return the run's calibration with these thresholds, as if there had been enough pairs."""
    found = read_calibration(folder)
    assert found is not None
    found = replace(found, thresholds=(Threshold(1e-2, far), Threshold(1e-3, near), Threshold(1e-4, None)))
    write_calibration(folder, found)
    return found


def test_a_fit_is_written_and_printed(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    done = run("calibrate", folder, "--data", figures, "--seed", 3, "--method", "logistic")
    assert (done.code, done.err) == (0, "")
    found = read_calibration(folder)
    assert found is not None
    model = passerby.load(folder)
    assert found == model.calibration
    assert (found.fingerprint, found.seed) == (model.fingerprint, 3)
    assert found.data.endswith(str(figures))
    assert found.protocol.ignore_same_camera
    assert found.same + found.different == 8 * 16 - found.same  # pairs of the query's own camera do not count
    assert f"{found.same:,} pairs of the same person and {found.different:,} of different people" in done.out
    assert "fitted on one half of the people (seed 3) and measured on the other" in done.out
    assert "0.001: too few pairs, at least 10,000 pairs of different people are needed" in done.out

    again = run("calibrate", folder, "--data", figures)
    assert again.code == 1
    assert "--overwrite" in again.err
    done = run(
        "calibrate", folder, "--data", figures, "--same-camera", "--flip-tta", "--overwrite", "--json", "--margin", 0.25
    )
    values = json.loads(done.out)
    assert values["margin"] == 0.25
    assert values["method"] == "isotonic"
    assert (values["protocol"]["ignore_same_camera"], values["protocol"]["flip_tta"]) == (False, True)
    assert values["same"] + values["different"] == 8 * 16


def test_a_second_fit_needs_overwrite(run, calibrated: Path, figures: Path) -> None:
    done = run("calibrate", calibrated, "--data", figures)
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("calibration.json' exists. Fix: replace it with --overwrite\n")


def test_evaluation_reports_calibration_errors(run, calibrated: Path, figures: Path) -> None:
    with_thresholds(calibrated, 0.2, 0.4)
    calibrated_distance = ("--data", figures, "--distance", "global")
    result = json.loads(run("evaluate", calibrated, *calibrated_distance, "--json").out)
    model, people = passerby.load(calibrated), passerby.data.load(figures)
    assert result == model.evaluate(people, protocol=replace(model.protocol_for(people), distance="global")).to_dict()
    found = result["details"]["calibration"]
    assert found["fitted_on_these"] is True
    assert {"ece", "ece_balanced", "same", "different", "at"} < set(found)
    assert [each["rate"] for each in found["at"]] == [0.01, 0.001, 0.0001]
    assert 0 <= found["at"][1]["false_match_rate"] <= found["at"][0]["false_match_rate"] <= 1
    assert found["at"][2]["false_match_rate"] is None
    assert 0 <= result["details"]["open_set"]["equal_error_rate"] <= 1
    done = run("evaluate", calibrated, *calibrated_distance)
    assert "It was fitted on these images, so the errors are too small." in done.out
    assert "expected calibration error " in done.out
    assert "threshold for a false-match rate of 0.0001: unknown (too few pairs)" in done.out


def test_open_set_metrics_need_no_calibration(run, trained: Path, figures: Path) -> None:
    done = run("evaluate", trained, "--data", figures, "--open-set", "--json")
    assert set(json.loads(done.out)["details"]) == {"gallery_junk", "open_set"}
    done = run("evaluate", trained, "--data", figures, "--open-set")
    assert "unknown (too few pairs at 0.01, 0.001, 0.0001)" in done.out
    done = run("evaluate", trained, "--data", figures, "--open-set", "--rerank")
    assert done.code == 1
    assert "leave --rerank out" in done.err


def test_a_calibration_of_other_distances_is_not_applied(
    run, calibrated: Path, figures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for option in ("--flip-tta", "--rerank"):
        caplog.clear()
        done = run("evaluate", calibrated, "--data", figures, option, "--json")
        assert "calibration" not in json.loads(done.out)["details"]
        assert "the calibration is not applied: " in caplog.text
    assert "re-ranked distances have no calibration" in caplog.text


def test_a_calibration_of_another_model_is_an_error(run, calibrated: Path, figures: Path) -> None:
    weights = calibrated / "model.safetensors"
    state = load_file(weights)
    save_file({name: tensor + 1 if name.endswith("bias") else tensor for name, tensor in state.items()}, weights)
    query = min((figures / "query").iterdir())
    for asked in (("evaluate", calibrated, "--data", figures), ("search", calibrated, query, "--gallery", figures)):
        done = run(*asked)
        assert (done.code, done.out) == (1, "")
        assert "calibration.json is of another model" in done.err
        assert "--overwrite" in done.err
    assert run("calibrate", calibrated, "--data", figures, "--overwrite").code == 0
    assert run("evaluate", calibrated, "--data", figures).code == 0


def test_a_search_reports_probabilities_and_verdicts(run, trained: Path, calibrated: Path, figures: Path) -> None:
    asked = min((figures / "query").iterdir()), "--gallery", figures, "-k", 12
    before = json.loads(run("search", trained, *asked, "--json").out)["hits"]
    found = with_thresholds(calibrated, before[0]["distance"] / 2, before[8]["distance"])
    hits = json.loads(run("search", calibrated, *asked, "--json").out)["hits"]
    assert [{k: v for k, v in hit.items() if k not in ("same_person", "verdict")} for hit in hits] == before
    expected = found.probability(torch.tensor([hit["distance"] for hit in before], dtype=torch.float64))
    assert [hit["same_person"] for hit in hits] == expected.tolist()
    assert [hit["verdict"] for hit in hits] == [found.verdict(hit["distance"])[1] for hit in before]
    assert len({hit["verdict"] for hit in hits}) > 1
    write_calibration(calibrated, replace(found, margin=0.25))
    answer = run("search", calibrated, *asked).out
    assert f"'{found.data}, with a margin of 0.25'" in answer
    write_calibration(calibrated, found)

    table = run("search", calibrated, *asked).out.splitlines()
    assert table[1].split() == ["rank", "distance", "P(same)", "verdict", "person", "camera", "path"]
    assert table[2].split()[2:4] == [f"{hits[0]['same_person']:.4f}", hits[0]["verdict"]]
    assert run("search", trained, *asked).out.splitlines()[1].split() == [
        "rank",
        "distance",
        "person",
        "camera",
        "path",
    ]


def test_a_calibration_that_fails_in_the_gallery_gives_no_verdicts(run, calibrated: Path, figures: Path) -> None:
    asked = min((figures / "query").iterdir()), "--gallery", figures, "-k", 12
    found = with_thresholds(calibrated, 9.0, 9.1)  # every pair is below
    write_calibration(calibrated, replace(found, curve=Sigmoid(0.0, 1.0)))
    answer = json.loads(run("search", calibrated, *asked, "--json").out)
    assert {(hit["verdict"], hit["same_person"]) for hit in answer["hits"]} == {("withheld", None)}
    check = answer["verdicts"]
    assert (check["state"], check["kind"], check["false_match_rate"], check["stated_rate"]) == (
        "withheld", "people", 1.0, 0.001,
    )  # fmt: skip
    table = run("search", calibrated, *asked).out
    rows = [line.split() for line in table.splitlines()[2:14]]
    assert [row[2:4] for row in rows] == [["–", "withheld"]] * 12
    assert check["reason"] in table
    assert "passerby calibrate RUN --gallery GALLERY" in check["reason"]


def test_a_figure_shows_verdicts_too(run, calibrated: Path, figures: Path, tmp_path: Path) -> None:
    from passerby.figures.search_result import search_figure

    with_thresholds(calibrated, 0.0, 1e-9)
    gallery = passerby.Gallery(passerby.load(calibrated))
    gallery.add(figures)
    query = min((figures / "query").iterdir())
    hits = [(hit, gallery.image(hit)) for hit in gallery.search(query, 3)]
    captions = [axes.texts[0].get_text() for axes in search_figure(None, hits).axes[1:]]
    assert all(
        f"{hit.verdict} (P = {hit.same_person:.2f})" in text for (hit, _), text in zip(hits, captions, strict=True)
    )
    assert len(captions) == 3


def test_weights_in_the_package_are_not_changed(run, figures: Path) -> None:
    done = run("calibrate", "street", "--data", figures)
    assert done.code == 1
    assert "Fix: `passerby import-weights street -o runs/street`, and calibrate that" in done.err


def test_a_gallery_is_calibrated_by_its_own_pairs(
    run, trained: Path, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, table = tmp_path / "people.gallery", tmp_path / "pairs.csv"
    assert run("gallery", "create", trained, gallery).code == 0
    assert run("gallery", "add", trained, gallery, figures).code == 0
    query = min((figures / "query").iterdir())
    hits = json.loads(run("gallery", "search", trained, gallery, query, "--json", "-k", 16).out)["hits"]
    assert "verdict" not in hits[0]
    person = {hit["id"]: hit["pid"] for hit in hits}
    pairs = [(a, b, int(person[a] == person[b])) for a in person for b in person if a < b]
    table.write_text("id_a,id_b,same\n" + "".join(f"{a},{b},{same}\n" for a, b, same in pairs))
    done = run("calibrate", trained, "--gallery", gallery)
    assert done.code == 1
    assert "too few confirmed pairs to calibrate: got 0 of 0 people, expected at least 20 of 10" in done.err
    for name, value in (("CONFIRMED", 4), ("PEOPLE", 2), ("DIFFERENT", 10)):
        monkeypatch.setattr(f"passerby.gallery.verdicts.own.{name}", value)
    asked = "calibrate", trained, "--gallery", gallery, "--pairs", table
    done = run(*asked)
    assert (done.code, done.err) == (0, "")
    confirmed = sum(same for *_, same in pairs)
    assert f"Of these pairs {confirmed:,} were confirmed and {len(pairs) - confirmed:,} rejected by people" in done.out
    assert run(*asked).err.endswith("has a calibration. Fix: replace it with --overwrite\n")
    found = json.loads(run(*asked, "--overwrite", "--json").out)
    assert (found["method"], found["kind"], found["same"]) == ("logistic", "people", confirmed)
    answer = json.loads(run("gallery", "search", trained, gallery, query, "--json").out)
    assert answer["hits"][0]["verdict"]
    assert answer["calibrated_on"] == str(gallery)
    assert "those of the gallery's calibration on" in run("gallery", "search", trained, gallery, query).out


def test_a_calibration_of_a_gallery_takes_its_own_options(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    gallery, table = tmp_path / "people.gallery", tmp_path / "pairs.csv"
    run("gallery", "create", trained, gallery)
    asked = "calibrate", trained, "--gallery", gallery
    for options, error in (
        (("--margin", 0.1, "--data", figures), "without --data, --margin"),
        (("--pairs", table), "cannot be read"),
    ):
        assert error in run(*asked, *options).err
    for text, error in (("a,b\n", "begins with 'a,b', expected id_a,id_b,same"), ("id_a,id_b,same\n1,2\n", "line 2")):
        table.write_text(text)
        assert error in run(*asked, "--pairs", table).err
    assert "no images to calibrate on" in run("calibrate", trained).err
    assert "add --gallery GALLERY" in run("calibrate", trained, "--data", figures, "--pairs", table).err
