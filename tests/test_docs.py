"""The documentation holds: links and anchors resolve, and commands, options, settings and names are those of the code.

Pages are read as text; code is not run here (tests/cli/test_extending.py and tests/losses/test_registry.py run the code
of docs/extending.md).
"""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from passerby.cli.app import app
from passerby.cli.generated_figures import figure_command, generated_names
from passerby.compat import FORMER_OPTIONS
from passerby.losses.base import BaseLossConfig
from passerby.training.config import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "benchmarks/README.md", "docs/*.md")
INDEX = "docs/index.md"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
OPTION = re.compile(r"(?:^|[\s(\[])(--[a-z][\w-]*)")
PROGRAM = re.compile(r"(?:^|\s)(?:-m )?passerby +(?=[-a-z])(.*)")
OTHER_PROGRAMS = frozenset(["--num_processes", "--cpu"])
"""Options of other programs (accelerate) that the pages name."""
UsageError: Any = typer.BadParameter.__base__
"""What the parser raises; typer may bring a click of its own, so it is not imported from there."""


@cache
def prose(page: Path) -> str:
    """Return a page without its fenced code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """Return the inline code of a page."""
    return [" ".join(found.group(2).split()) for found in SPAN.finditer(prose(page))]


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced code of a page in these languages; an empty one is a block without a language."""
    return [code for language, code in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found, seen = set(), Counter[str]()
    for heading in HEADING.findall(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken_links(page: Path) -> Iterator[str]:
    """Yield each relative link whose file or anchor does not exist."""
    for target in LINK.findall(SPAN.sub("", prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(file):
            yield f"{target}: no such heading"


def command_lines(page: Path) -> Iterator[str]:
    """Yield the arguments of every ``passerby …`` in a page's shell blocks."""
    for block in blocks(page, "", "sh", "bash", "shell"):
        for line in block.replace("\\\n", " ").splitlines():
            yield from PROGRAM.findall(line.partition(" #")[0])


@cache
def program() -> Any:
    """Return the whole command line."""
    return typer.main.get_command(app)


def children(command: Any) -> dict[str, Any]:
    """Return the commands of a group by name, those of registered figures too."""
    generated = generated_names() if command.name == "figures" else []
    return {**getattr(command, "commands", {}), **{name: figure_command(name) for name in generated}}


def wrong_command(line: str) -> str | None:
    """Return why the program would not accept the arguments ``line``, or ``None``.

    Placeholders stand for values: ``RUN``, ``RUN…``, ``[--data DATA]``.
    """
    command = program()
    rest = [word for word in shlex.split(re.sub(r"[\[\]]| …$", "", line)) if word[0] != "$"]
    try:
        while hasattr(command, "commands"):
            _, rest, _ = parsed(command, rest)
            if not rest or rest[0].isupper():
                return None
            name, *rest = rest
            found = children(command).get(name)
            if found is None:
                return None if "--plugin" in line else f"no command {name!r}"
            command = found
        _, left, _ = parsed(command, rest)
    except UsageError as error:
        return str(error.format_message())
    return f"too many arguments: {left}" if left else None


def parsed(command: Any, arguments: list[str]) -> Any:
    """Return what a command's parser makes of arguments: options by name, what is left, and the order."""
    return command.make_parser(typer.Context(command)).parse_args(args=list(arguments))


def wrong_commands(page: Path) -> Iterator[str]:
    """Yield each command line of a page that the program would not accept."""
    for line in command_lines(page):
        if why := wrong_command(line):
            yield f"passerby {line}: {why}"
    for line in (line for span in spans(page) for line in PROGRAM.findall(span)):
        if (why := wrong_command(line)) and wrong_command(f"{line} VALUE"):  # prose may name an option without a value
            yield f"passerby {line}: {why}"


@cache
def options_of_commands() -> frozenset[str]:
    """Return the options of all commands."""

    def of(command: Any) -> Iterator[str]:
        for option in command.params:
            yield from (*option.opts, *option.secondary_opts)
        for child in children(command).values():
            yield from of(child)

    return frozenset(["--help", "-h", *of(program())])


@cache
def options_of_scripts() -> frozenset[str]:
    """Return the options of the scripts in ``benchmarks/``."""
    texts = [script.read_text(encoding="utf-8") for script in (REPOSITORY / "benchmarks").rglob("*.py")]
    return frozenset(name for text in texts for name in re.findall(r"\"(--[a-z][\w-]*)\"", text))


def unknown_options(page: Path) -> Iterator[str]:
    """Yield each option in inline code that no command has."""
    for span in spans(page):
        is_script = page.parent.name == "benchmarks" or span.startswith("python ")
        known = options_of_commands() | OTHER_PROGRAMS | (options_of_scripts() if is_script else frozenset())
        yield from (f"{option} in `{span}`" for option in OPTION.findall(span) if option not in known)


def unknown_settings(page: Path) -> Iterator[str]:
    """Yield each ``--set KEY=VALUE`` whose key is no setting of a training."""
    for key in re.findall(r"--set ['\"]?([\w.]+)=", page.read_text(encoding="utf-8")):
        kind: Any = TrainConfig
        for part in key.split("."):
            if not (isinstance(kind, type) and issubclass(kind, BaseModel)) or kind is BaseLossConfig or part.isupper():
                break  # keywords of a model, settings of one of several losses, a placeholder
            field = kind.model_fields.get(part)
            if field is None:
                yield f"--set {key}: {kind.__name__} has no {part}"
                break
            kind = field.annotation


def resolves(name: str) -> bool:
    """Return whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        try:
            for part in parts[end:]:
                found = getattr(found, part)
        except AttributeError:
            return False
        return True
    return False


def unknown_names(page: Path) -> Iterator[str]:
    """Yield each Python name of the package, in code or inline, that does not exist."""
    names = [span for text in spans(page) for span in re.findall(r"^(passerby(?:\.[A-Za-z_]\w*)+)", text)]
    for code in blocks(page, "python"):
        known = {"passerby": "passerby"}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("passerby"):
                known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
                names.append(f"{known[node.value.id]}.{node.attr}")
        names += known.values()
    yield from (name for name in dict.fromkeys(names) if name != "passerby.plugins" and not resolves(name))


def unknown_files(page: Path) -> Iterator[str]:
    """Yield each file of this repository in inline code that does not exist."""
    pattern = re.compile(r"(?:src|docs|tests|benchmarks|scripts)/[\w./-]+")
    for span in spans(page):
        for name in pattern.findall(span):
            if span.partition(" ")[0] in (name, "python") and not (REPOSITORY / name).exists():
                yield name


CHECKS: dict[str, Callable[[Path], Iterator[str]]] = {
    "links": broken_links,
    "commands": wrong_commands,
    "options": unknown_options,
    "settings": unknown_settings,
    "names": unknown_names,
    "files": unknown_files,
}


def pages(root: Path = REPOSITORY) -> list[Path]:
    return sorted(page for pattern in PAGES for page in root.glob(pattern))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_pages_hold(page: Path, check: str) -> None:
    wrong = list(CHECKS[check](page))
    assert not wrong, "\n  ".join(["", *wrong])


def unlinked(index: Path) -> set[str]:
    """Return the pages beside ``index`` that it does not link."""
    linked = {target.partition("#")[0] for target in LINK.findall(prose(index))}
    return {page.name for page in index.parent.glob("*.md")} - linked - {index.name}


def test_the_index_links_every_page() -> None:
    assert unlinked(REPOSITORY / INDEX) == set()


def test_every_image_of_the_docs_is_shown() -> None:
    shown = {Path(target).name for page in pages() for target in LINK.findall(prose(page))}
    images = REPOSITORY / "docs" / "images"
    assert {image.name for image in images.iterdir()} - shown == set()


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("links", "[a](absent.md)"),
        ("links", "![an image](images/absent.png)"),
        ("links", "# A heading\n[a](#another-heading)"),
        ("links", "[a [b] c](absent.md)"),
        ("commands", "`passerby evalute RUN`"),
        ("commands", "`passerby figures curve RUN -o FILE.png`"),
        ("commands", "```\npasserby train aanet \\\n    --dta DATA   # a comment\n```"),
        ("commands", "```\npasserby evaluate RUN --data\n```"),
        ("commands", "```\npasserby explain RUN A B C -o why.png\n```"),
        ("commands", "`passerby --debugging COMMAND …`"),
        ("commands", "`passerby explain RUN A B C`"),
        ("commands", f"`passerby figures embedding RUN --data DATA -o F.png {next(iter(FORMER_OPTIONS))} x`"),
        ("options", "`--no-such-option`"),
        ("options", "`evaluate --data DATA --no-such-option`"),
        ("options", "`python benchmarks/ablations.py --no-such-option`"),
        ("settings", "`--set optimiser.lr=1`"),
        ("settings", "```\npasserby train aanet --set data.hight=3\n```"),
        ("names", "`passerby.figures.absent`"),
        ("names", "```python\nfrom passerby.types import Embedings\n```"),
        ("names", "```python\npasserby.lode('runs/x')\n```"),
        ("names", "```python\nfrom passerby.types import Role\n\nRole.DOG\n```"),
        ("files", "`benchmarks/results/absent.json`"),
        ("files", "`python benchmarks/absent.py RUN`"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, check: str, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert len(list(CHECKS[check](page))) == 1


def test_what_is_right_is_no_fault(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A, b: `c` (d)\n[up](#a-b-c-d) [self](page.md#a-b-c-d) [web](https://example.org)\n"
        "`passerby search RUN [IMAGE] --gallery FILE.parquet` `passerby COMMAND --help` `passerby --version`\n"
        "`passerby evaluate --save-features`\n"
        "`passerby figures saliency RUN… --data DATA -n 6 -o FILE.png` `--set loss.gamma=1` `passerby.load(RUN)`\n"
        "```\npasserby --plugin FILE.py train aanet --data DATA \\\n"
        "  --set model.options.backbone=resnet18 # note\n```\n",
        encoding="utf-8",
    )
    assert {name: list(check(page)) for name, check in CHECKS.items()} == {name: [] for name in CHECKS}


def test_a_page_without_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text("[a](a.md#b)", encoding="utf-8")
    for name in ("a.md", "c.md"):
        (tmp_path / name).touch()
    assert unlinked(tmp_path / "index.md") == {"c.md"}
