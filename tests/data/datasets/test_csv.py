"""The CSV layout: what a row means, and each way in which a table is not in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.registry import DATASETS, load, recognize
from passerby.data.source import open_source
from passerby.errors import DatasetLayoutError
from passerby.types import Role, Sample

READ = DATASETS["csv"].read
HEADER = "path,pid,camid,split,role,time\n"
FILES = {f"img/{name}.jpg": "" for name in "abcde"}


def test_rows(tree) -> None:
    rows = (
        "img/b.jpg,4,1,train,,\n"
        "./img/a.jpg, 0 ,2,train,person,17\n"
        "img/c.jpg,9,1,query,,\n\n"
        "img/d.jpg,9,,gallery,,\n"
        '"img/e.jpg",-1,3,gallery,junk,\n'
    )
    dataset = recognize(tree({"set/dataset.csv": HEADER + rows} | {f"set/{name}": "" for name in FILES}))
    assert dataset.name == "csv"
    assert dataset.train == (Sample("set/img/a.jpg", 0, 2, time=17), Sample("set/img/b.jpg", 4, 1))
    assert dataset.query == (Sample("set/img/c.jpg", 9, 1),)
    assert dataset.gallery == (Sample("set/img/d.jpg", 9), Sample("set/img/e.jpg", -1, 3, Role.JUNK))


def test_role_and_time_may_be_left_out_and_other_columns_are_ignored(directory) -> None:
    table = "\ufeffcolour,split,camid,pid,path\r\nred,query,1,2,img/a.jpg\r\n"
    assert READ(directory({"dataset.csv": table, **FILES})).query == (Sample("img/a.jpg", 2, 1),)


def test_one_image_may_be_in_two_splits(directory) -> None:
    dataset = READ(directory({"dataset.csv": HEADER + "img/a.jpg,1,1,query,,\nimg/a.jpg,1,1,gallery,,\n", **FILES}))
    assert dataset.query == dataset.gallery


def test_the_only_table_needs_no_special_name(directory) -> None:
    source = directory({"labels.csv": HEADER + "img/a.jpg,1,1,train,,\n", ".backup.csv": "x", **FILES})
    assert len(READ(source).train) == 1


def test_dataset_csv_is_taken_among_others(directory) -> None:
    source = directory({"dataset.csv": HEADER + "img/a.jpg,1,1,train,,\n", "results.csv": "rank\n1\n", **FILES})
    assert len(recognize(source).train) == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param(
            "img/a.jpg,one,1,train,,\n", r"dataset\.csv has 1 invalid lines: line 2: pid 'one' is not", id="pid"
        ),
        pytest.param("img/a.jpg,,1,train,,\n", "line 2: pid '' is not a whole number", id="no pid"),
        pytest.param("img/a.jpg,1,2.5,train,,\n", "line 2: camid '2.5' is not", id="camid"),
        pytest.param("img/a.jpg,1,1,train,,noon\n", "line 2: time 'noon' is not", id="time"),
        pytest.param("img/a.jpg,1,1,test,,\n", "line 2: split 'test' is none of train, query, gallery", id="split"),
        pytest.param("img/a.jpg,1,1,gallery,ghost,\n", "line 2: role 'ghost' is none of person, junk", id="role"),
        pytest.param("img/a.jpg,-1,1,train,,\n", "line 2: pid -1 is negative", id="negative person"),
        pytest.param("img/a.jpg,1,1,train,junk,\n", "line 2: junk belongs in the gallery only", id="junk in train"),
        pytest.param("img/a.jpg,1,1,train,,\nimg/./a.jpg,1,1,train,,\n", "line 3: .* is in train twice", id="twice"),
        pytest.param("a,b.jpg,1,1,train,person,1\n", "line 2: more or fewer cells", id="comma in a path"),
        pytest.param("img/a.jpg,1,1\n", "line 2: more or fewer cells", id="short row"),
        pytest.param("".join(f"img/a.jpg,x,{i},train,,\n" for i in range(5)), "has 5 invalid lines", id="many"),
        pytest.param("img/a.jpg,1,1,train,,\nx.jpg,1,1,train,,\n", r"1 files that .*: x\.jpg \(line 3\)", id="missing"),
        pytest.param("".join(f"{i}.jpg,1,1,train,,\n" for i in range(9)), "lists 9 files .* and 6 more", id="all gone"),
        pytest.param("../img/a.jpg,1,1,train,,\n", "do not exist", id="outside"),
        pytest.param("", "lists no images", id="no rows"),
        pytest.param('"img/a.jpg,1,1,train,,\n', "is not CSV in UTF-8", id="open quote"),
    ],
)
def test_a_table_not_in_order(directory, rows: str, words: str) -> None:
    with pytest.raises(DatasetLayoutError, match=words):
        READ(directory({"dataset.csv": HEADER + rows, **FILES}))


@pytest.mark.parametrize("header", ["path,pid,split\n", "path;pid;camid;split\n", ""])
def test_missing_columns(directory, header: str) -> None:
    with pytest.raises(DatasetLayoutError, match=r"has no column .*expected path,pid,camid,split"):
        READ(directory({"dataset.csv": header, **FILES}))


def test_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "dataset.csv").write_bytes((HEADER + "é.jpg,1,1,train,,\n").encode("latin-1"))
    with pytest.raises(DatasetLayoutError, match="not CSV in UTF-8"):
        READ(open_source(tmp_path))


@pytest.mark.parametrize("tables", [(), ("one.csv", "two.csv"), ("a/dataset.csv", "b/dataset.csv")])
def test_one_table_is_wanted(directory, tables: tuple[str, ...]) -> None:
    with pytest.raises(DatasetLayoutError, match=r"expected one dataset\.csv"):
        READ(directory({**dict.fromkeys(tables, HEADER), **FILES}))


def test_the_table_itself_is_told_to_be_read_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("path,pid,camid,split\n")
    with pytest.raises(DatasetLayoutError, match=f"read from the folder that holds the table. Fix: csv:{tmp_path}$"):
        load(f"csv:{tmp_path / 'd.csv'}")


def test_a_camera_below_0_is_unknown(directory) -> None:
    table = HEADER + "img/a.jpg,1,-1,query,,\nimg/b.jpg,1,0,gallery,,\n"
    dataset = READ(directory({"dataset.csv": table, **FILES}))
    assert [s.camid for s in (*dataset.query, *dataset.gallery)] == [None, 0]


def test_paths_of_another_system_find_their_files(directory) -> None:
    table = HEADER + "img\\a.jpg,1,1,query,,\nimg/Jose\u0301.jpg,1,2,gallery,,\n"
    dataset = READ(directory({"dataset.csv": table, "img/a.jpg": "", "img/Jos\u00e9.jpg": ""}))
    assert [s.path for s in (*dataset.query, *dataset.gallery)] == ["img/a.jpg", "img/Jos\u00e9.jpg"]
    assert all(dataset.source.has(s.path) for s in dataset.gallery)


def test_a_path_that_could_mean_two_files_is_missing(directory) -> None:
    names = {"img/Jos\u00e9\u0301.jpg": "", "img/Jose\u0301\u0301.jpg": "", "img/a.jpg": ""}
    table = HEADER + "img\\Jos\u00e9\u0301.jpg,1,1,query,,\n"
    with pytest.raises(DatasetLayoutError, match="lists 1 files that do not exist"):
        READ(directory({"dataset.csv": table, **names}))
