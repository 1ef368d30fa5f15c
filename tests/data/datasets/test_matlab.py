"""Files of MATLAB: structs, cells, rows and columns as plain values; and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from passerby.data.datasets.matlab import read_mat
from passerby.data.source import open_source
from passerby.errors import DatasetLayoutError


def test_plain_values(tmp_path: Path) -> None:
    values = {
        "row": np.array([[1, 2, 3]], np.uint8),
        "column": np.array([[1.0], [2.0]]),
        "table": np.eye(2),
        "names": np.array([["ann"], ["bob"]], dtype=object),
        "nested": {"train": {"age": [[4, 5]], "who": "0001"}},
    }
    savemat(tmp_path / "a.mat", values)
    read = read_mat(open_source(tmp_path), "a.mat")
    assert set(read) == set(values), "MATLAB's own headers are left out"
    assert read["row"].tolist() == [1, 2, 3]
    assert read["column"].tolist() == [1, 2]
    assert read["table"].shape == (2, 2)
    assert read["names"] == ["ann", "bob"]
    assert read["nested"]["train"]["age"].tolist() == [4, 5]
    assert read["nested"]["train"]["who"] == "0001"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a readable .mat file"),
        (b"pid,path\n" * 40, "is not a readable .mat file"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(200), "is of MATLAB 7.3. Fix: save it with -v7"),
    ],
)
def test_other_files_are_errors(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DatasetLayoutError, match=rf"a\.mat {words}"):
        read_mat(open_source(tmp_path), "a.mat")
