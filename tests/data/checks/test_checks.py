"""Each rule finds its own problem in a dataset that has no other, and a sound dataset has no findings."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from passerby.data.checks import Count, Finding, Report, check
from passerby.data.dataset import Dataset
from passerby.data.loader import class_labels
from passerby.data.registry import load
from passerby.data.source import Source, open_source
from passerby.errors import PasserbyError, ProtocolError
from passerby.evaluation.evaluate import check_evaluable
from passerby.metrics.protocol import evaluate_embeddings
from passerby.training.loop import count_people
from passerby.types import Embeddings, Protocol, Role, Sample


class Colored(Source):
    """Every file is a PNG of its own color with a black pixel; ``same`` maps names to the file they repeat."""

    def __init__(self, same: dict[str, str] | None = None, size: tuple[int, int] = (4, 8)) -> None:
        super().__init__(Path("generated"))
        self.same, self.size = same or {}, size

    def names(self) -> tuple[str, ...]:
        return ()

    def read(self, name: str) -> bytes:
        file = io.BytesIO()
        seed = zlib.crc32(self.same.get(name, name).encode()) % 2**24
        image = Image.new("RGB", self.size, (seed >> 16, seed >> 8 & 255, seed & 255))
        image.putpixel((0, 0), (0, 0, 0))
        image.save(file, "PNG")
        return file.getvalue()


def sample(path: str, pid: int | None, camid: int | None, role: Role = Role.PERSON) -> Sample:
    return Sample(path, pid, camid, role)


TRAIN = tuple(sample(f"t{pid}{camid}", pid, camid) for pid in (1, 2) for camid in (1, 2))
QUERY = tuple(sample(f"q{pid}", pid, 1) for pid in (3, 4))
GALLERY = tuple(sample(f"g{pid}{camid}", pid, camid) for pid in (3, 4) for camid in (1, 2))


def data(train=TRAIN, query=QUERY, gallery=GALLERY, source: Source | None = None) -> Dataset:
    return Dataset("made", source or Colored(), tuple(train), tuple(query), tuple(gallery))


def only(report: Report, rule: str) -> Finding:
    found = [f for f in report.findings if f.rule == rule]
    assert len(found) == 1, report.findings
    return found[0]


def rules(dataset: Dataset) -> dict[str, str]:
    return {f.rule: f.level for f in check(dataset).findings}


def test_a_sound_data_set_gives_no_findings_and_right_counts() -> None:
    report = check(data())
    assert report.ok
    assert report.findings == ()
    assert report.counts == (
        Count("train", "all", 4, 2), Count("train", "1", 2, 2), Count("train", "2", 2, 2),
        Count("query", "all", 2, 2), Count("query", "1", 2, 2),
        Count("gallery", "all", 4, 2), Count("gallery", "1", 2, 2), Count("gallery", "2", 2, 2),
    )  # fmt: skip


def test_counts_sort_cameras_as_numbers_and_count_all_images() -> None:
    gallery = [sample("a", 3, 10), sample("b", 3, 9), sample("c", 0, 9, Role.DISTRACTOR), sample("d", 4, None)]
    counts = [c for c in check(data(gallery=gallery)).counts if c.split == "gallery"]
    assert counts == [
        ("gallery", "all", 4, 2),
        ("gallery", "9", 2, 1),
        ("gallery", "10", 1, 1),
        ("gallery", "unknown", 1, 1),
    ]


@pytest.mark.parametrize(
    ("missing", "level", "words"),
    [
        ({"gallery": ()}, "error", "no gallery to search"),
        ({"query": ()}, "info", "usable for search"),
        ({"query": (), "gallery": ()}, "info", "usable for training only"),
        ({"train": ()}, "info", "not usable for training"),
    ],
)
def test_an_empty_split(missing: dict[str, tuple[()]], level: str, words: str) -> None:
    report = check(data(**missing))
    finding = only(report, "empty-split")
    assert finding.level == level
    assert words in finding.message
    assert len(report.findings) == 1


def test_training_images_without_an_identity() -> None:
    train = [*TRAIN, sample("x", None, 1), sample("y", -1, 1, Role.JUNK)]
    finding = only(check(data(train=train)), "no-identity")
    assert (finding.level, finding.files) == ("error", ("x", "y"))


def test_junk_and_distractors_of_the_gallery_are_counted() -> None:
    gallery = [*GALLERY, *(sample(f"j{i}", -1, 1, Role.JUNK) for i in range(3)), sample("d", 0, 1, Role.DISTRACTOR)]
    report = check(data(gallery=gallery))
    assert only(report, "no-identity").message.startswith("there are 3 junk images and 1 distractor:")
    assert report.ok


def test_one_identity() -> None:
    assert rules(data(train=TRAIN[:2])) == {"one-person": "error"}
    assert rules(data(query=QUERY[:1], gallery=GALLERY[:2])) == {"one-person": "error"}
    distractor = sample("d", 0, 2, Role.DISTRACTOR)
    assert rules(data(query=QUERY[:1], gallery=[*GALLERY[:2], distractor])) == {"no-identity": "info"}


def changed(samples: tuple[Sample, ...], first: int = 1, **values: Any) -> list[Sample]:
    """Return samples of which the first so many are changed."""
    return [replace(s, **values) if i < first else s for i, s in enumerate(samples)]


EVALUATE: dict[str, tuple[Dataset, str]] = {
    "no gallery": (data(gallery=()), "empty-split"),
    "one person in the gallery": (data(query=QUERY[:1], gallery=GALLERY[:2]), "one-person"),
    "one person in the gallery, two queries": (data(gallery=GALLERY[:2]), "one-person"),
    "a query without a person": (data(query=changed(QUERY, pid=None)), "no-identity"),
    "a gallery image without a person": (data(gallery=changed(GALLERY, pid=None)), "no-identity"),
    "junk without a number": (data(gallery=[*GALLERY, sample("j", None, 1, Role.JUNK)]), "no-identity"),
    "a query without a camera": (data(query=changed(QUERY, camid=None)), "unknown-camera"),
    "a gallery image without a camera": (data(gallery=changed(GALLERY, camid=None)), "unknown-camera"),
    "no camera": (data(query=changed(QUERY, 9, camid=None), gallery=changed(GALLERY, 9, camid=None)), "unknown-camera"),
    "one camera": (data(gallery=[s for s in GALLERY if s.camid == 1]), "one-camera"),
    "nobody again": (data(gallery=[replace(s, pid=s.pid + 9) for s in GALLERY]), "unmatched-query"),
    "only junk": (data(gallery=[replace(s, role=Role.JUNK) for s in GALLERY]), "unmatched-query"),
    "a query finds itself": (data(source=Colored({"q3": "g32"})), "duplicate-query-gallery"),
}
TRAIN_ON: dict[str, tuple[Dataset, str]] = {
    "one person": (data(train=TRAIN[:2]), "one-person"),
    "only junk": (data(train=changed(TRAIN, 9, role=Role.JUNK)), "one-person"),
    "an image without a person": (data(train=changed(TRAIN, pid=None)), "no-identity"),
    "junk": (data(train=changed(TRAIN, role=Role.JUNK)), "no-identity"),
    "a distractor": (data(train=changed(TRAIN, role=Role.DISTRACTOR)), "no-identity"),
}
SOUND: dict[str, Dataset] = {
    "sound": data(),
    "junk and a distractor": data(
        gallery=[*GALLERY, sample("j", -1, 1, Role.JUNK), sample("d", 0, 2, Role.DISTRACTOR)]
    ),
    "one person and a distractor": data(query=QUERY[:1], gallery=[*GALLERY[:2], sample("d", 0, 2, Role.DISTRACTOR)]),
    "one person of two is asked for": data(query=QUERY[:1]),
    "a query in the gallery under its own camera": data(source=Colored({"q3": "g31"})),
}


@pytest.mark.parametrize("fault", EVALUATE)
def test_what_an_evaluation_refuses_is_an_error(fault: str) -> None:
    dataset, rule = EVALUATE[fault]
    with pytest.raises(PasserbyError):
        check_evaluable(dataset, Protocol())
    assert (rule, "error") in {(finding.rule, finding.level) for finding in check(dataset).findings}


@pytest.mark.parametrize("fault", TRAIN_ON)
def test_what_a_training_refuses_is_an_error(fault: str) -> None:
    dataset, rule = TRAIN_ON[fault]
    with pytest.raises(PasserbyError):
        count_people(dataset) and class_labels(dataset.train)
    assert (rule, "error") in {(finding.rule, finding.level) for finding in check(dataset).findings}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_trained_and_evaluated_on_has_no_error(name: str) -> None:
    check_evaluable(SOUND[name], Protocol())
    assert count_people(SOUND[name]) == len(set(class_labels(SOUND[name].train)))
    assert check(SOUND[name]).ok


@pytest.mark.parametrize(("side", "other"), [("query", "gallery"), ("gallery", "query")])
@pytest.mark.parametrize(("field", "rule"), [("pid", "no-identity"), ("camid", "unknown-camera")])
def test_numbers_below_0_that_the_ranking_refuses_are_errors(side: str, other: str, field: str, rule: str) -> None:
    samples = {"query": QUERY, "gallery": GALLERY}
    broken = {side: changed(samples[side], **{field: -2}), other: samples[other]}
    assert (rule, "error") in rules(data(**broken)).items()
    sides = [
        Embeddings(
            torch.rand(len(broken[name]), 3) + 0.1,
            tuple(s.path for s in broken[name]),
            *(torch.tensor([getattr(s, label) for s in broken[name]]) for label in ("pid", "camid")),
        )
        for name in ("query", "gallery")
    ]
    with pytest.raises(ProtocolError, match="below 0"):
        evaluate_embeddings(*sides)


def test_one_camera() -> None:
    one = [s for s in TRAIN + GALLERY if s.camid == 1]
    twice = [sample(s.path + "b", s.pid, 1) for s in one]
    found = rules(data(train=one[:2] + twice[:2], gallery=one[2:] + twice[2:]))
    assert found == {"one-camera": "warning", "unmatched-query": "error"}
    findings = check(data(train=one[:2] + twice[:2], gallery=one[2:] + twice[2:])).findings
    assert [(f.level, f.rule) for f in findings][:2] == [("error", "one-camera"), ("error", "unmatched-query")]


def without_camera(samples: tuple[Sample, ...]) -> list[Sample]:
    return [sample(s.path, s.pid, None) for s in samples]


def test_unknown_cameras() -> None:
    blind = data(without_camera(TRAIN), without_camera(QUERY), without_camera(GALLERY))
    assert [(f.level, f.message.split(":")[0]) for f in check(blind).findings] == [
        ("error", "no camera of query is known"),
        ("error", "no camera of gallery is known"),
        ("info", "no camera of train is known"),
    ]
    assert check(data(without_camera(TRAIN), (), without_camera(GALLERY))).ok


def test_half_known_cameras_are_named() -> None:
    finding = only(check(data(gallery=[*GALLERY, sample("x", 3, None)])), "unknown-camera")
    assert (finding.level, finding.files) == ("error", ("x",))
    assert "1 image of 5 of gallery" in finding.message
    assert rules(data(train=[*TRAIN, sample("x", 1, None)])) == {"unknown-camera": "warning"}


def test_people_with_one_image_or_one_camera() -> None:
    report = check(data(train=[*TRAIN, sample("single", 5, 1), sample("a", 6, 2), sample("b", 6, 2)]))
    assert report.ok
    assert only(report, "one-image").files == ("single",)
    assert only(report, "one-image").message.startswith("1 person of train")
    assert only(report, "one-camera-person").files == ("a", "b")


def test_queries_without_a_valid_match() -> None:
    gallery = [*GALLERY, sample("same-camera", 5, 1), sample("junk", 6, 2, Role.JUNK)]
    query = [*QUERY, sample("q5", 5, 1), sample("q6", 6, 1), sample("q7", 7, 1)]
    finding = only(check(data(query=query, gallery=gallery)), "unmatched-query")
    assert (finding.level, finding.files) == ("error", ("q5", "q6", "q7"))
    assert finding.message.startswith("3 queries without a valid match in the gallery")


def test_people_of_train_in_the_test() -> None:
    finding = only(check(data(gallery=[*GALLERY, sample("x", 1, 2)])), "shared-person")
    assert (finding.level, finding.files) == ("warning", ("x",))


def test_number_0_of_a_distractor_is_no_person_of_train() -> None:
    train = [*TRAIN, sample("t01", 0, 1), sample("t02", 0, 2)]
    assert rules(data(train=train, gallery=[*GALLERY, sample("x", 0, 2, Role.DISTRACTOR)])) == {"no-identity": "info"}


@pytest.mark.parametrize(
    ("copy", "of", "rule", "level"),
    [
        (sample("copy", 3, 2), "t11", "duplicate-train-test", "error"),
        (sample("copy", 3, 2), "q3", "duplicate-query-gallery", "error"),
        (sample("copy", 3, None), "q3", "duplicate-query-gallery", "error"),
        (sample("copy", 3, 2), "g32", "duplicate", "info"),
        (sample("copy", 4, 2), "g32", "duplicate-label", "error"),
    ],
)
def test_the_same_bytes_twice(copy: Sample, of: str, rule: str, level: str) -> None:
    finding = only(check(data(gallery=[*GALLERY, copy], source=Colored({"copy": of}))), rule)
    assert (finding.level, finding.files) == (level, tuple(sorted(("copy", of))))
    assert finding.message.startswith("2 images: ")


def test_a_query_in_the_gallery_under_its_own_camera_is_ignored_there() -> None:
    gallery = [*GALLERY, sample("copy", 3, 1)]
    assert check(data(gallery=gallery, source=Colored({"copy": "q3"}))).findings == ()
    assert check(data(gallery=[*GALLERY, *QUERY])).ok, "CUHK03's old protocol searches all images for all images"


def test_a_copy_in_another_format_is_the_same_image(tmp_path: Path) -> None:
    for name in (s.path for s in TRAIN + QUERY + GALLERY):
        (tmp_path / name).write_bytes(Colored().read(name))
    with Image.open(tmp_path / "q3") as query:
        query.save(tmp_path / "copy", "BMP")
    report = check(data(gallery=[*GALLERY, sample("copy", 3, 2)], source=open_source(tmp_path)))
    assert only(report, "duplicate-query-gallery").files == ("copy", "q3")


@pytest.mark.parametrize("packed", ["directory", "tar"])
def test_two_names_of_one_file_are_seen_unopened(tmp_path: Path, packed: str) -> None:
    root = tmp_path / "t"
    root.mkdir()
    for name in (s.path for s in TRAIN + QUERY + GALLERY):
        (root / name).write_bytes(Colored().read(name))
    (root / "copy").symlink_to("q3")
    source = open_source(root if packed == "directory" else shutil.make_archive(str(root), packed, root))
    report = check(data(gallery=[*GALLERY, sample("copy", 3, 2)], source=source), decode_images=False)
    assert only(report, "duplicate-query-gallery").level == "error"


def test_the_same_file_in_two_splits_is_seen_unopened() -> None:
    report = check(data(gallery=[*GALLERY, TRAIN[0]]), decode_images=False)
    assert only(report, "duplicate-train-test").files == ("t11",)


def test_unopened_files_are_not_judged(tmp_path: Path) -> None:
    assert check(data(source=open_source(tmp_path)), decode_images=False).ok


def test_sizes() -> None:
    class Uneven(Colored):
        def read(self, name: str) -> bytes:
            return Colored(size=(40, 80) if name == "g42" else (8, 16)).read(name)

    finding = only(check(data(source=Uneven())), "sizes")
    assert finding.level == "info"
    assert "8×16 to 40×80" in finding.message
    assert "g42" in finding.files


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory, draw_people: Callable[..., Path]) -> Path:
    """Of 4 people and 2 cameras two images each."""
    return draw_people(tmp_path_factory.mktemp("generated") / "people", people=4, cameras=2, images=2)


@pytest.fixture
def damaged(generated: Path, tmp_path: Path) -> Path:
    """Generated people, one image of which is truncated, one is text, and one is empty."""
    root = Path(shutil.copytree(generated, tmp_path / "damaged"))
    train = sorted((root / "bounding_box_train").iterdir())
    train[0].write_bytes(train[0].read_bytes()[:200])
    train[1].write_text("not a picture")
    train[2].write_bytes(b"")
    return root


@pytest.mark.parametrize("kind", ["directory", "zip", "tar"])
def test_unreadable_files_are_named_with_the_reason(damaged: Path, kind: str, tmp_path: Path) -> None:
    place = damaged if kind == "directory" else shutil.make_archive(str(tmp_path / "packed"), kind, damaged)
    report = check(load(str(place)))
    finding = only(report, "unreadable")
    assert not report.ok
    assert list(finding.files) == [f"bounding_box_train/{p.name}" for p in sorted(damaged.glob("*train/*"))[:3]]
    assert finding.message.startswith(f"3 images cannot be read: {finding.files[0]}: not a whole")
    assert [f.rule for f in report.findings] == ["unreadable"]


def test_a_file_that_vanished_is_unreadable(damaged: Path) -> None:
    dataset = load(str(damaged))
    (damaged / dataset.query[0].path).unlink()
    assert dataset.query[0].path in only(check(dataset), "unreadable").files


def test_a_damaged_archive_names_its_damaged_files(generated: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", generated))
    query = f"query/{min((generated / 'query').iterdir()).name}"
    with zipfile.ZipFile(archive) as packed:
        at = packed.getinfo(query).header_offset + 120
    content = bytearray(archive.read_bytes())
    content[at : at + 100] = bytes(100)
    archive.write_bytes(content)
    assert only(check(load(str(archive))), "unreadable").files == (query,)


def test_findings_come_by_weight_and_the_report_is_plain_json() -> None:
    report = check(data(train=[*TRAIN, sample("x", None, 1), sample("single", 5, 1)], gallery=[]))
    assert [f.level for f in report.findings] == ["error", "error", "warning"]
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["ok"] is False
    assert plain["dataset"] == "made"
    assert plain["counts"][0] == {"split": "train", "camera": "all", "images": 6, "people": 3}
    assert plain["findings"][2]["files"] == ["single"]
    assert set(plain["findings"][0]) == {"level", "rule", "message", "files"}


def test_threads_change_nothing(damaged: Path) -> None:
    dataset = load(str(damaged))
    one, five = check(dataset, workers=1), check(dataset, workers=5)
    assert one.counts == five.counts
    assert [(f.rule, f.files) for f in one.findings] == [(f.rule, f.files) for f in five.findings]


class Blank(Colored):
    """The files called so are of a single color."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.blank = names

    def read(self, name: str) -> bytes:
        if name not in self.blank:
            return super().read(name)
        file = io.BytesIO()
        Image.new("I;16", (4, 8), 200 + self.blank.index(name)).save(file, "PNG")  # black in 8 bits
        return file.getvalue()


def test_images_of_a_single_color_are_found() -> None:
    finding = only(check(data(source=Blank("t11", "g31"))), "constant")
    assert (finding.level, finding.files) == ("warning", ("g31", "t11"))
    assert finding.message == "2 images are of a single color: all distances between such images mean nothing"
    every = Blank(*(s.path for s in (*TRAIN, *QUERY, *GALLERY)))
    finding = only(check(data(source=every)), "constant")
    assert finding.level == "error"
    assert "no other is left" in finding.message
