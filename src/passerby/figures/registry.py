"""The figures that the command line and the report find, each registered with ``@figure`` in its own file.

A new figure is one file of this package (or of a plugin) with a function like this one::

    @figure("camera-counts", title="Images per camera", needs="embeddings")
    def camera_counts_figure(
        run: EvaluatedEmbeddings,
        *,
        title: str,
        side: Annotated[Literal["query", "gallery"], "Side whose images are counted."] = "gallery",
    ) -> Figure:
        \"\"\"Draw the number of images of each camera.\"\"\"

``passerby figures camera-counts`` then draws it. Its options follow from what the figure needs; each annotated keyword
adds one (here ``--side``). A file of :mod:`passerby.cli.figures` may define the command instead. The report shows the
figure, unless one of its sections does so.

==========  ===================================================================  ==============================
needs       first argument                                                       command line
==========  ===================================================================  ==============================
log         :class:`~passerby.figures.training_curves.TrainingHistory`           RUN
embeddings  :class:`~passerby.explain.evaluated.EvaluatedEmbeddings` of a whole  RUN and --data, or --features
            gallery
samples     :class:`~passerby.explain.images.ModelView` of some images           RUN, --data and --query
==========  ===================================================================  ==============================

With ``several=True`` the first argument is a sequence of these, one per run.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from passerby.errors import ConfigError
from passerby.plugins import load_installed_plugins
from passerby.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from passerby.explain.attention.capture import AttentionKind

Need = Literal["log", "embeddings", "samples"]
Draw = TypeVar("Draw", bound="Callable[..., Figure]")


@dataclass(frozen=True, kw_only=True)
class RegisteredFigure:
    """A figure with what the command line and the report know of it."""

    name: str
    title: str
    needs: Need
    several: bool
    """The number of runs: several, or one per figure."""
    attention: AttentionKind | None
    """The kind of attention that it shows, if it is one of ``passerby figures attention``."""
    section: str | None
    """The section of the report that shows it; ``None``: the section of further figures."""
    draw: Callable[..., Figure]

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return _summary(inspect.getdoc(self.draw))


FIGURES: Registry[RegisteredFigure] = Registry("figure", "passerby.figures")
_SUMMARIES: dict[str, str] = {}
"""The summaries of the figures imported so far that have a command of their own."""


def figure(
    name: str,
    *,
    title: str,
    needs: Need,
    several: bool = False,
    attention: AttentionKind | None = None,
    section: str | None = None,
) -> Callable[[Draw], Draw]:
    """Register the decorated function as a figure.

    The function takes what ``needs`` says, and ``title`` as a keyword. Name and ``attention`` are written as literals,
    because ``passerby figures --help`` reads them without importing the figure.

    Args:
        name: what a user types after ``passerby figures``.
        title: what the figure shows; it begins the figure's own title.
        needs: what the figure is drawn from.
        several: whether one figure shows several runs.
        attention: the kind of attention that it shows; ``passerby figures attention`` draws it.
        section: the section of the report that shows it; ``None``: the section of further figures.
    """

    def register(draw: Draw) -> Draw:
        FIGURES.register(name)(
            RegisteredFigure(
                name=name,
                title=title,
                needs=needs,
                several=several,
                attention=attention,
                section=section,
                draw=draw,
            )
        )
        if attention is None:
            _SUMMARIES[name] = _summary(inspect.getdoc(draw))
        return draw

    return register


def attention_figure(kind: AttentionKind) -> RegisteredFigure:
    """Return the figure of a kind of attention.

    Raises:
        ConfigError: if no figure shows it.
    """
    for entry in (FIGURES[name] for name in FIGURES):
        if entry.attention == kind:
            return entry
    raise ConfigError(f"no figure shows attention of kind {kind!r}")


def summaries() -> dict[str, str]:
    """Return one line about each figure that is a command of its own, without importing the figures of this package."""
    load_installed_plugins()
    found = {name: text for file in sorted(Path(__file__).parent.glob("*.py")) for name, text in _declared(file)}
    return found | _SUMMARIES


def _declared(file: Path) -> Iterator[tuple[str, str]]:
    """Yield name and summary of the figures that a module registers, from its source."""
    source = file.read_text(encoding="utf-8")
    if "\n@figure(" not in source:
        return
    for node in (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)):
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == figure.__name__:
                options: dict[str | None, Any] = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
                if options.get("attention") is None:
                    yield ast.literal_eval(call.args[0]), _summary(ast.get_docstring(node))


def _summary(docstring: str | None) -> str:
    return (docstring or "").partition("\n")[0]
