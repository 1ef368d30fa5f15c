from __future__ import annotations

import json
from types import ModuleType

import pytest

SMALL = ("--queries", "10", "--gallery", "40", "--dimensions", "4", "--repeats", "1")


def test_costs_are_printed(retrieval: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    retrieval.main([*SMALL, "--only", "evaluate"])
    printed = capsys.readouterr().out
    assert printed.startswith("evaluate: ")
    assert "CPU seconds" in printed
    retrieval.main([*SMALL, "--only", "re-rank", "--json"])
    (cost,) = json.loads(capsys.readouterr().out)
    assert (cost["operation"], cost["sizes"]["gallery"], cost["repeats"]) == ("re-rank", 40, 1)


def test_an_unknown_operation_is_an_error(retrieval: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        retrieval.main(["--only", "rerank"])
    printed = capsys.readouterr()
    assert (stop.value.code, printed.out) == (2, "")
    assert "invalid choice: 'rerank'" in printed.err
    assert "re-rank" in printed.err
