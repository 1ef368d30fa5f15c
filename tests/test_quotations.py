"""A sentence that says what a paper says quotes it; with the papers' texts at hand, the quotations are compared.

The texts are not part of this repository: ``PASSERBY_PAPERS=FOLDER pytest tests/test_quotations.py`` names a folder
with one ``.txt`` per paper.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
TEXTS = os.environ.get("PASSERBY_PAPERS")
MOST_WORDS = 25
NEAR = 300
"""The number of characters after a claim within which its quotation begins."""
CLAIM = re.compile(
    r"\bas (?:in )?the papers?\b(?!['’])|(?<!what )\bthe papers? (?:says?|states?|has it|have it|writes?)\b"
    r"|\bin the papers?['’]s? words\b",
    re.IGNORECASE,
)
DENIED = re.compile(r"\s*(?:neither|nothing|no|not|instead)\b")
QUOTATION = re.compile(r'"([^"]+)"|“([^”]+)”')
OF_PAPERS = (
    "models/aanet/*.py",
    "models/attention/*.py",
    "models/attention_driven/*.py",
    "models/aap_reid.py",
    "models/aligned_reid.py",
    "models/dual_attention.py",
    "losses/multitask.py",
    "losses/branches.py",
    "recipes/*.py",
    "explain/attention/*.py",
)
"""The modules whose docstrings quote the papers; ``"…"`` of three words and more is a quotation there, but in code."""
EXAMPLE = re.compile(r"^[ \t]*>>> .*\n(?:(?![ \t]*\n).+\n?)*", re.MULTILINE)


@cache
def paragraphs(path: Path) -> list[str]:
    """Return the paragraphs of docstrings, or of a Markdown file, without their code, each on one line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr))
        values = (node.value.value for node in nodes if isinstance(node.value, ast.Constant))
        text = EXAMPLE.sub("", "\n\n".join(value for value in values if isinstance(value, str)))
    else:
        text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n|\n(?=\s*[-|*] )", text)]


def claims(paragraph: str) -> Iterator[tuple[str, str | None]]:
    """Yield what a paragraph says of a paper's text, each with the quotation that follows."""
    for found in CLAIM.finditer(paragraph):
        if not DENIED.match(paragraph, found.end()):
            after = QUOTATION.search(paragraph[found.end() : found.end() + NEAR + 200])
            words = (after[1] or after[2]) if after and after.start() <= NEAR else None
            yield paragraph[max(0, found.start() - 40) : found.end() + 80], words


def files() -> list[Path]:
    sources = [*(REPOSITORY / "src").rglob("*.py"), *(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md"]
    return sorted(sources)


def quoted() -> list[tuple[str, str]]:
    """Return every quotation of a paper with the file that it is in."""
    found = [(path, words) for path in files() for text in paragraphs(path) for _, words in claims(text) if words]
    for pattern in OF_PAPERS:
        for path in sorted((REPOSITORY / "src" / "passerby").glob(pattern)):
            each = [one or other for text in paragraphs(path) for one, other in QUOTATION.findall(text)]
            found += [(path, words) for words in each if len(words.split()) >= 3]
    return [(path.relative_to(REPOSITORY).as_posix(), words) for path, words in found]


def plain(text: str) -> str:
    """Return a text in lower case, without markup and line ends."""
    return " ".join(re.sub(r"[\s*_`$]+", " ", text.replace("’", "'").lower()).split())


def test_what_a_paper_says_is_quoted() -> None:
    bare = [
        f"{path.relative_to(REPOSITORY)}: {text!r} is followed by {'no quotation' if not words else 'a long one'}"
        for path in files()
        for paragraph in paragraphs(path)
        for text, words in claims(paragraph)
        if not words or len(words.split()) > MOST_WORDS
    ]
    assert not bare, "\n".join(bare)


def test_claims_are_found() -> None:
    assert [words for _, words in claims('Top is the upper half, as the paper has it: "lower half ignored".')] == [
        "lower half ignored"
    ]
    assert [words for _, words in claims("As in the paper, maps are scaled.")] == [None]
    assert [words for _, words in claims("The paper says that the maps are scaled.")] == [None]
    assert not list(claims("The paper says neither; the paper does not say; what the paper says; the papers' order."))


def test_there_are_quotations() -> None:
    assert len(quoted()) >= 8


@pytest.mark.skipif(not TEXTS, reason="the papers' texts are not part of the repository; PASSERBY_PAPERS names them")
def test_quotations_are_the_papers_words() -> None:
    texts = [plain(path.read_text(encoding="utf-8")) for path in sorted(Path(TEXTS or "").glob("*.txt"))]
    assert texts, f"no .txt in {TEXTS}"
    wrong = [f"{path}: {words!r}" for path, words in quoted() if not any(plain(words) in text for text in texts)]
    assert not wrong, "\n".join(wrong)
