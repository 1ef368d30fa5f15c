from __future__ import annotations

import json

SMALL = ("--queries", 10, "--gallery", 40, "--dimensions", 4, "--repeats", 1)


def test_costs_are_printed(run) -> None:
    done = run("bench", "retrieval", *SMALL, "--only", "evaluate")
    assert done.code == 0
    assert done.out.startswith("evaluate: ")
    assert "CPU seconds" in done.out
    (cost,) = json.loads(run("bench", "retrieval", *SMALL, "--only", "re-rank", "--json").out)
    assert (cost["operation"], cost["sizes"]["gallery"], cost["repeats"]) == ("re-rank", 40, 1)


def test_an_unknown_operation_is_said(run) -> None:
    done = run("bench", "retrieval", "--only", "rerank")
    assert (done.code, done.out) == (1, "")
    assert "unknown operation 'rerank'. Did you mean re-rank?" in done.err
