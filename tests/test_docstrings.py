"""Every docstring begins with a clause that makes sense alone, and no name or text uses a word of the private dialect."""

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
ARTICLES = frozenset("a an the each every all any some one two three four both no".split())
CLAUSE = frozenset("is are has have was were gives holds says takes returns must may can does do".split())
"""What makes a module's first line a clause, beside an article: it often begins with the name of a paper."""
VERBS = frozenset(
    """
    abort accept accumulate adapt add adjust adopt advance align allow analyze annotate append apply approximate ask
    assemble assert assign attach augment average backpropagate begin bind blur bound build cache calculate calibrate
    call cast center change check choose clamp classify clean clear close cluster collect combine compare compile
    complete compose compress compute concatenate configure connect construct continue convert convolve copy correct
    count cover create crop cross cut darken decide declare decode decorate define delete derive describe detect
    determine discard display distort divide document download drape draw drop dump embed emit enable encode end
    enlarge ensure enter enumerate erase escape estimate evaluate exclude execute exit expand explain export extend
    extract fail fetch fill filter finalize find finish fit fix flatten flip fold follow forbid format forward freeze
    gather generate get give group guard guess halve handle hash hide hold identify ignore import include index
    initialize insert inspect interpolate invert invoke iterate join keep label lay leave lighten limit link list load
    locate lock log look lower make map mark mask match measure merge mine mirror mix modify move multiply name
    normalize note number observe occlude omit open optimize order overlay override pack pad paint pair parse pass
    paste patch permute pick pin place plan plot point pool position predict prepare preview print produce project
    propagate prove provide put quantize quote raise randomize rank rasterize read rebuild receive recognize record
    recover reduce refer register reject release remap remember remove rename render repeat replace report reproduce
    require rerank reserve reset resample reshape resize resolve restore restrict resume retrieve return reverse rewrite rotate
    round run sample save scale scan score search seed select send separate serialize serve set shade shift show shrink
    shuffle simulate skip slice smooth sort spend split spread stack standardize start state step stitch stop store
    stream stretch strip subtract suggest sum summarize support suppress swap switch synchronize take tell test tile
    trace track train transform translate traverse trim truncate try turn unfold unpack unwrap update upsample use
    validate verify visit wait walk warn warp watch weigh weight widen wrap write yield zoom
    """.split()
)


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Yield line and text of each docstring of a module, class, function or attribute, and whether it is the module's."""
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
