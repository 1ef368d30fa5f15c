"""Every docstring begins with a clause that makes sense alone, and no text uses a word that the field does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "passerby"

BANNED = re.compile(
    r"\b(trunks?|nobody|somebody|anybody|everybody|whoever|refuse_\w*|say_[a-z]\w*|forget_\w*|widened|warmed|heated|"
    r"overheard|knobs?|colours?|grey|centres?|neighbours?|normalise[ds]?|behaviour|labelled|licence)\b",
    re.IGNORECASE,
)
"""Words that a reader of other toolkits would not search for, and British spellings."""
DATA = {
    "compat.py": "the former names themselves",
    "synthetic": "names of random streams and of hashed settings, which decide the images",
}
"""Where a banned word may stand inside a string, and why: it is data there."""
ARTICLES = frozenset(
    ["a", "an", "the", "each", "every", "all", "any", "some", "one", "two", "three", "four", "both", "no"]
)
CLAUSE = frozenset(
    [
        "is",
        "are",
        "has",
        "have",
        "was",
        "were",
        "gives",
        "holds",
        "says",
        "takes",
        "returns",
        "must",
        "may",
        "can",
        "does",
        "do",
    ]
)
"""What makes a module's first line a clause, beside an article: it often begins with the name of a paper."""
VERBS = frozenset(Path(__file__).with_name("verbs.txt").read_text(encoding="utf-8").split())
"""Verbs that a docstring may begin with, in the imperative."""


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Yield line and text of each docstring, attributes' too, and whether it is the module's."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for before, statement in zip([None, *body], body, strict=False):
            text = (
                isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and statement.value.value
            )
            is_first = before is None and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if isinstance(text, str) and (is_first or isinstance(before, ast.Assign | ast.AnnAssign)):
                yield statement.lineno, text, is_first and isinstance(node, ast.Module)


def fault(text: str, *, is_module: bool = False) -> str | None:
    """Return what is wrong with a docstring's first line, or ``None``."""
    summary = text.strip().split("\n\n")[0]
    if not re.search(r"[.!?:][\"')`]?$", summary.strip()):
        return "does not end with a full stop"
    words = re.findall(r"[a-z]+", summary.lower())
    if is_module and (ARTICLES | CLAUSE | VERBS) & set(words):
        return None
    first = re.match(r"[a-z]+\b", summary.lower())
    if first and first[0] in ARTICLES | VERBS:
        return None
    return "begins with neither a verb nor an article"


def faults(package: Path) -> list[str]:
    """Return each docstring that is a fragment, with its place."""
    found = []
    for module in sorted(package.rglob("*.py")):
        for line, text, is_module in docstrings(ast.parse(module.read_text(encoding="utf-8"))):
            if wrong := fault(text, is_module=is_module):
                place = module.relative_to(package).as_posix()
                found.append(f"{place}:{line}: {text.strip().splitlines()[0][:80]!r} {wrong}")
    return found


def test_docstrings_are_whole_clauses() -> None:
    found = faults(PACKAGE)
    assert not found, f"{len(found)} fragments:\n  " + "\n  ".join(found)


def banned_lines(root: Path, patterns: tuple[str, ...]) -> list[str]:
    """Return the lines with a banned word, but for strings that are data."""
    found = []
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        place = path.relative_to(root).as_posix()
        is_data = any(f"/{part}" in f"/{place}" for part in DATA)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            seen = re.sub(r"\"[^\"]*\"|'[^']*'", '""', line) if is_data else line
            if word := BANNED.search(seen):
                found.append(f"{place}:{number}: {word[0]!r} in {line.strip()[:80]}")
    return found


def test_words_are_those_of_the_field() -> None:
    found = banned_lines(REPOSITORY, ("src/**/*.py", "docs/*.md", "README.md", "CONTRIBUTING.md"))
    assert not found, f"{len(found)} lines:\n  " + "\n  ".join(found)


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        pytest.param("Return the pids.", True, id="verb"),
        pytest.param("The image size as (height, width).", True, id="article"),
        pytest.param("By pid.", False, id="fragment"),
        pytest.param("The draws", False, id="no full stop"),
        pytest.param("Of the draws.", False, id="preposition"),
        pytest.param("Its name.", False, id="possessive"),
    ],
)
def test_a_fragment_is_found(text: str, is_whole: bool) -> None:
    assert (fault(text) is None) == is_whole


def test_a_planted_word_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def refuse_it():\n    return 'grey'\n", encoding="utf-8")
    assert len(banned_lines(tmp_path, ("*.py",))) == 2
