"""The page: its numbers are the run's, it requests nothing, and it is accessible."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from passerby.data.dataset import Dataset
from passerby.errors import DatasetLayoutError
from passerby.evaluation import evaluate as evaluation_module
from passerby.inference.options import InferenceOptions
from passerby.report import figure, read_records, read_run, write_report
from passerby.report.sections.environment import evaluation_command

VOID = {"meta", "link", "img", "br", "col"}


class Page(HTMLParser):
    """The elements, numbers and words of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.numbers: dict[tuple[str, str], tuple[float, str]] = {}
        """The value in the markup and the text that people read, by run and key."""
        self.open: list[str] = []
        self._reading: tuple[str, str, float] | None = None
        self.markup = file.read_text(encoding="utf-8")
        self.words = ""
        self.feed(self.markup)
        self.close()
        assert self.open == [], "every element is closed, in order"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "data":
            self._reading = (str(found["data-run"]), str(found["data-key"]), float(str(found["value"])))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += data
        if self._reading:
            run, key, value = self._reading
            assert self.numbers.get((run, key), (value, ""))[0] == value, "one number, one value"
            self.numbers[run, key] = value, data
            self._reading = None

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            found[f"{prefix}{name}"] = value
    return found


def test_numbers_are_those_of_the_run(page: Path, one: Path, described: Path) -> None:
    shown = Page(page).numbers
    for run in (one, described):
        kept = flat(json.loads((run / "metrics.json").read_text()))
        for key in ("cmc.1", "cmc.5", "cmc.10", "cmc.20", "mean_ap", "minp", "queries", "gallery"):
            value, words = shown[run.name, key]
            assert value == kept[key]
            assert words == (f"{kept[key]:,}" if key in ("queries", "gallery") else f"{100 * kept[key]:.2f}")
    attributes = {key: value for key, value in flat(json.loads((described / "metrics.json").read_text())).items()
                  if key.startswith("attributes.groups.hat.")}  # fmt: skip
    assert shown[described.name, "attributes.hat.accuracy"][0] == attributes["attributes.groups.hat.accuracy"]
    assert "The metrics equal those written at the end of the training" in Page(page).words


@pytest.mark.usefixtures("unrendered")
def test_numbers_of_other_data_are_those_of_evaluate(one: Path, tmp_path: Path, draw_people, capsys) -> None:
    from passerby.cli import main

    data = draw_people(tmp_path / "other", people=6, cameras=2, images=2, seed=3)
    write_report([one], tmp_path / "report.html", data=str(data))
    with pytest.raises(SystemExit):
        main(
            [
                "evaluate",
                str(one),
                "--data",
                str(data),
                "--open-set",
                "--slices",
                "cameras,attributes,visibility",
                "--json",
            ]
        )
    said = json.loads(capsys.readouterr().out)
    page = Page(tmp_path / "report.html")
    for key in ("cmc.1", "mean_ap", "minp", "queries"):
        assert page.numbers[one.name, key][0] == flat(said)[key]
    rate = page.numbers[one.name, "open_set.equal_error_rate"][0]
    assert rate == said["details"]["open_set"]["equal_error_rate"]
    for some in said["slices"]:
        name = f"slices.{some['dimension']}/{some['group']}/{some['value']}"
        assert page.numbers[one.name, f"{name}.mean_ap"][0] == some["mean_ap"]
    assert "These are not the run's own test data." in page.words
    assert page.numbers[one.name, "metrics.mean_ap"][0] == json.loads((one / "metrics.json").read_text())["mean_ap"]
    assert f"--data {data} --open-set --slices cameras,attributes,visibility --json" in page.words


def test_the_printed_command_gives_the_numbers_of_the_report(described: Path, capsys) -> None:
    from passerby.cli import main

    run = read_run(*read_records([described]))
    assert run.evaluation is not None
    command = evaluation_command(run, run.evaluation)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command)[1:])
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (0, "")
    again = json.loads(out)
    for key in ("cmc", "mean_ap", "minp", "attributes"):
        assert again[key] == json.loads(json.dumps(run.numbers))[key]
    assert len(again["slices"]) == len(run.evaluation.subgroups)


def test_it_requests_nothing(page: Path) -> None:
    found = Page(page)
    for tag, attributes in found.tags:
        assert tag not in ("script", "iframe", "object", "base", "form")
        for name in ("src", "href"):
            place = attributes.get(name)
            assert place is None or place.startswith(("data:", "#")), (tag, place)
    style = re.search(r"<style>(.*)</style>", found.markup, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert page.stat().st_size < 5 * 2**20


def test_it_is_accessible(page: Path) -> None:
    found = Page(page)
    assert found.of("html") == [{"lang": "en"}]
    assert len(found.of("title")) == len(found.of("h1")) == len(found.of("main")) == len(found.of("nav")) == 1
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {f"#{place}" for place in ids} >= {a["href"] for a in found.of("a")}
    images = found.of("img")
    assert len(images) == len(found.of("figure")) == len(found.of("figcaption")) > 10
    assert all(len(image["alt"] or "") > 40 for image in images)
    assert len(found.of("table")) == len(found.of("caption"))
    assert all("scope" in each for each in found.of("th"))


def test_it_answers_what_a_reader_asks(page: Path, people: Path, one: Path) -> None:
    words = Page(page).words
    for asked in (
        str(people), "Metrics", "Training curves", "Ranked lists", "Subgroups", "Attributes", "Calibration of",
        "Environment and commands", "Two images are compared by the squared Euclidean distance",
        "The images are synthetic", "Differences to", "by bootstrap over people (paired)", "loss.uncertainty",
        json.loads((one / "inputs.json").read_text())["data.test"][:12],
    ):  # fmt: skip
        assert asked in words, asked


def test_differences_are_between_the_runs(page: Path, one: Path, described: Path) -> None:
    shown = Page(page).numbers
    for key in ("cmc.1", "mean_ap", "minp"):
        between = shown[one.name, key][0] - shown[described.name, key][0]
        assert shown[one.name, f"difference.{key}"][0] == pytest.approx(between)


@pytest.mark.usefixtures("unrendered")
def test_one_embedding_feeds_everything(one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[int] = []
    embed = evaluation_module.evaluate

    def count(model: Any, dataset: Dataset, **how: Any) -> Any:
        embedded.append(len(dataset.gallery))
        return embed(model, dataset, **how)

    monkeypatch.setattr(evaluation_module, "evaluate", count)
    write_report([one], tmp_path / "report.html")
    assert len(embedded) == 1


@pytest.mark.usefixtures("unrendered")
def test_without_its_data_it_is_of_the_folder_and_says_so(one: Path, tmp_path: Path) -> None:
    run = copied(one, tmp_path / "moved")
    config = json.loads((run / "config.json").read_text())
    config["data"]["train"] = str(tmp_path / "gone")
    (run / "config.json").write_text(json.dumps(config))
    (found,) = write_report([run], tmp_path / "report.html")
    assert found.evaluation is None
    page = Page(tmp_path / "report.html")
    assert page.numbers[run.name, "mean_ap"][0] == json.loads((one / "metrics.json").read_text())["mean_ap"]
    assert "Missing from this report" in page.words
    assert f"passerby report {run} --data DATA" in page.words
    assert "Training curves" in page.words
    with pytest.raises(DatasetLayoutError):  # what was asked for must do
        write_report([run], tmp_path / "other.html", data=str(tmp_path / "gone"))
    assert not (tmp_path / "other.html").exists()


@pytest.mark.usefixtures("unrendered")
def test_unfinished_and_imported_runs(one: Path, people: Path, tmp_path: Path) -> None:
    unfinished = copied(one, tmp_path / "unfinished", without=("model.json", "metrics.json"))
    imported = copied(
        one,
        tmp_path / "imported",
        without=("config.json", "environment.json", "metrics.jsonl", "inputs.json", "metrics.json"),
    )
    write_report([unfinished, imported], tmp_path / "report.html", data=str(people))
    page = Page(tmp_path / "report.html")
    assert f"passerby train --resume {unfinished}" in page.words
    assert "no record of how they were trained" in page.words
    assert ("imported", "mean_ap") in page.numbers
    assert ("unfinished", "mean_ap") not in page.numbers


def test_names_and_settings_can_do_no_harm(one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = """<script>alert(1)<&"'\\$x^{$ $\\frac$\x01"""
    run = copied(one, tmp_path / name)
    environment = json.loads((run / "environment.json").read_text())
    environment["command"] = environment["platform"] = "</code><img src=http://x onerror=alert(1)>"
    (run / "environment.json").write_text(json.dumps(environment))
    monkeypatch.setattr(figure, "DPI", 40)
    write_report([run], tmp_path / "report.html")
    page = Page(tmp_path / "report.html")
    assert {tag for tag, _ in page.tags}.isdisjoint({"script"})
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert name.replace("\x01", "\ufffd") in page.words
    assert "</code><img src=http://x onerror=alert(1)>" in page.words


@pytest.mark.usefixtures("unrendered")
def test_heads_of_real_people_are_blurred(one: Path, people: Path, tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    shutil.copytree(people, photographs)
    for each in photographs.iterdir():
        if each.is_file():
            each.unlink()  # the files that mark the data as synthetic
    write_report([one], tmp_path / "blurred.html", data=str(photographs))
    assert "Heads are blurred in all images" in Page(tmp_path / "blurred.html").words
    plain = read_run(*read_records([one]), str(photographs), options=InferenceOptions(blur=False))
    assert plain.evaluation is not None
    assert not plain.evaluation.images.blurs


def copied(run: Path, to: Path, *, without: tuple[str, ...] = ()) -> Path:
    ignored = shutil.ignore_patterns("checkpoints", "tensorboard", *without)
    return Path(shutil.copytree(run, to, ignore=ignored))
