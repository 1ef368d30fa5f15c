"""Files that no split holds are counted in one line, and listed by the data check."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest

from passerby.data.checks import check
from passerby.data.images.open import QueryImage, list_images, open_images
from passerby.data.registry import load
from passerby.data.unread import Unread, listed_elsewhere, unread_files
from passerby.errors import DatasetLayoutError

MARKET = ("bounding_box_train/0001_c1s1_000001_00.jpg", "query/0002_c1s1_000001_00.jpg")
LABELS = ("masks/0002_c1s1_000001_00.png", "README", "readme.txt", "settings.json", "a.mat", ".DS_Store")


def build(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_labels_and_documents_are_no_lost_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = load(build(tmp_path, *MARKET, *LABELS, "gt_bbox/0009_c1s1_000001_00.jpg", ".hidden/a.jpg"))
    assert unread_files(dataset) == Unread()
    assert caplog.records == []


def test_what_is_not_read_is_one_line_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = build(tmp_path, *MARKET, "more/1.jpg", "more/2.jpg", "query/a.tif", "query/b.TIF", "query/c", "old.zip")
    (root / "gone.jpg").symlink_to("nowhere")
    with listed_elsewhere():
        load(root)
    assert caplog.records == []
    load(root)
    load(root)
    assert [record.getMessage() for record in caplog.records] == [
        f"'{root}': not read: 2 images that no split holds (in 'more'); 3 files of other formats (2 .tif, 1 without an "
        "ending; read are .jpg, .jpeg, .jpe, .jfif, .png, .bmp, .webp; convert images); 1 archive among the files "
        "('old.zip'; unpack it, or give its path); 1 link that leads to nothing; `passerby data check` lists them"
    ]


def test_the_data_check_lists_every_file(tmp_path: Path) -> None:
    root = build(tmp_path, *MARKET, *(f"more/{n}.jpg" for n in range(7)), "query/a.tif")
    (root / "linked").symlink_to(root / "more")
    found = {f.message[:20]: f for f in check(load(root), decode_images=False).findings if f.rule == "unread"}
    assert [len(finding.files) for finding in found.values()] == [14, 1]
    assert {finding.level for finding in found.values()} == {"warning"}
    links = [f for f in check(load(root), decode_images=False).findings if f.rule == "links"]
    assert [(f.level, f.files) for f in links] == [("info", ("linked",))]


def test_images_that_a_table_does_not_list(tmp_path: Path) -> None:
    (build(tmp_path, "a.jpg", "b.jpg") / "dataset.csv").write_text("path,pid,camid,split\na.jpg,1,1,train\n")
    assert unread_files(load(tmp_path)).images == ("b.jpg",)


def test_boxes_of_another_variant_are_left_out_on_purpose(tmp_path: Path) -> None:
    for boxes in ("labeled", "detected"):
        names = ("bounding_box_train/0001_c1_1.png", "query/0002_c1_1.png", "bounding_box_test/0002_c2_6.png")
        build(tmp_path, *(f"{boxes}/{name}" for name in names))
    assert unread_files(load(f"cuhk03:images=labeled:{tmp_path}")) == Unread()


def test_images_without_labels_are_said_to_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = build(tmp_path, "image_query/1.jpg", "image_test/2.jpg", "3.gif")
    assert len(list_images(root)[1]) == 2
    first, second = (record.getMessage() for record in caplog.records)
    assert "not read: 1 file of other formats (1 .gif" in first
    assert "2 images are taken without labels, as these folders are not read as people: 'image_query', " in second


def test_a_place_without_images_says_what_it_has(tmp_path: Path) -> None:
    inner = build(tmp_path / "t", "a.jpg") / "a.jpg"
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:
        archive.write(inner, "a.jpg")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(tmp_path / "inner.zip", "inner.zip")
    with pytest.raises(
        DatasetLayoutError, match=r"no images .* it has 1 archive among the files \('inner.zip'; unpack"
    ):
        list_images(tmp_path / "outer.zip")
    with pytest.raises(DatasetLayoutError, match=r"none of the known layouts .* it has 1 archive among the files"):
        load(tmp_path / "outer.zip")


@pytest.mark.parametrize(("names", "level"), [(["1.jpg", "2.jpg"], "info"), (["cam_a/1.jpg", "cam_b/2.jpg"], "error")])
def test_images_without_labels_are_checked(tmp_path: Path, names: list[str], level: str) -> None:
    report = check(open_images(build(tmp_path, *names)))
    found = {f.rule: f for f in report.findings}
    assert found["no-layout"].level == level
    assert found["unreadable"].files == tuple(names)
    assert "empty-split" not in found


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_query_is_found_in_either_unicode_form(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    other: Literal["NFC", "NFD"] = "NFD" if form == "NFC" else "NFC"
    typed, stored = normalize(form, "Jos\u00e9.jpg"), normalize(other, "Jos\u00e9.jpg")
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / stored).write_bytes(b"bytes")
    assert QueryImage.of(tmp_path / "people" / typed).content == b"bytes"
    assert QueryImage.of(f"{tmp_path}::people/{typed}").sample.path == f"people/{stored}"
    with pytest.raises(DatasetLayoutError, match="there is no image"):
        QueryImage.of(tmp_path / "people" / "Jose.jpg")
