"""Fixtures shared by all tests; shape annotations of the numeric layers are executed."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import _bootstrap_external as importing  # type: ignore[attr-defined]
from importlib.machinery import SourceFileLoader
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_type_hints

import jaxtyping
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import config, install_import_hook, jaxtyped
from jaxtyping._import_hook import _JaxtypingLoader

# Before torch is imported, here and in what tests start: threads of several workers would only fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text

_SHAPED = re.compile(r"\b(Bool|Complex|Float|Int|Integer|Num|Real|Shaped|UInt8)\[")

_MARKET = [
    ord(character) - 40
    for line in (
        r"V/37..c<73-@;<-112G2-4/+1CGH/-O/,[0*,4-2+0+-TZn:S.BB-LM.0E,@,?*_,17p--D+^2/+KE3.,10+/.4;9A56:I7-B=O,1<=?gD.--C",
        r";DQNF^0/79HOD05-1;BTG\PA?Ok<5.CC14A64\7@9CHN?8,7C+@/121FJ`3/3C4H86DF2E9=@72<5824=965:,/8<0+E-=9/04-==8MQ07<>75",
        r";C/84,AA/;/3<<411?584803=4;:B589835:78=?84@.417>1B/.?./2./2/7090?1:@9P:,8Y6:7;=J/I700ED0><<0?0WX:BB>6>58/:9F??",
        r";8A0/:=69<4:CJC;64-254>I74<D5L6<BCKDICH=0>>ID;E1CB7;8H;HD<2<5FJ129/@T?ABAO/?7ID<7Y3-N7X977;6<>?V9RBQ0,7=N-J02-",
        r"=091.1E-.+0+/+/-0/-82/35./.10/8324><466JAB3951E4:/:391/=H:8<831><>6:822?6B118476=0D70<::6>2A79424<34464267/4.1",
        r"0--/B/66;-:.342?>6460698-;:9J2<91199996?7779A/1Q?1CM78-2ABAB3B2;548>9-8..2453183P+9=/4=I195.;J-96?>I:>.AA40787",
        r"896=02:B:/13030B;E>3003/72;19739.98;>-3>3@9240.5N55-75<</?928282@50:*2862003A4122656:7/7I81",
    )
    for character in line
]
"""The number of training images of each of Market-1501's 751 people, by person ID."""


@pytest.fixture(scope="session")
def market_labels() -> list[int]:
    """The class indices of Market-1501's training images, by person ID."""
    return [person for person, images in enumerate(_MARKET) for _ in range(images)]


def check_shapes(function: Any) -> Any:
    """Wrap a function in a checker of its annotations that have a shape; mypy sees to the others."""
    shaped = _shaped(function)
    if not shaped:
        return function
    function.__annotations__ = shaped
    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)


def _shaped(function: Any) -> dict[str, Any]:
    """Return the annotations of a function, or of a dataclass's ``__init__``, that have a shape."""
    while inner := getattr(function, "__func__", getattr(function, "fget", None)):
        function = inner
    hints = getattr(function.__init__ if isinstance(function, type) else function, "__annotations__", {})
    return {name: hint for name, hint in hints.items() if _SHAPED.search(str(hint))}


def _jaxtyped_if_shaped(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Leave functions without shapes as they are: jaxtyping's wrapper makes each call of them slower."""
    return lambda function: jaxtyped(function, typechecker=typechecker) if _shaped(function) else function


def _code(loader: _JaxtypingLoader, name: str) -> Any:
    """Return the code of a module; what it imports then has its own bytecode, where jaxtyping would compile it anew."""
    try:
        return SourceFileLoader.get_code(loader, name)
    finally:
        importing.cache_from_source = _OF_PYTHON


_OF_PYTHON = importing.cache_from_source
_JaxtypingLoader.get_code = _code
jaxtyping.jaxtyped = _jaxtyped_if_shaped  # type: ignore[assignment]  # what the import hook decorates with
sys.modules["shape_checker"] = module = ModuleType("shape_checker")
module.check_shapes = check_shapes  # type: ignore[attr-defined]
install_import_hook("passerby", "shape_checker.check_shapes")


def _check_shapes_of_named_tuples() -> None:
    """Check the fields of the named tuples of ``passerby.types`` too, which the import hook passes over."""
    from passerby import types

    for value in (types.Batch, types.ModelOutput, types.Ranking):
        new = value.__new__
        new.__annotations__ = get_type_hints(value)
        value.__new__ = jaxtyped(new, typechecker=beartype)  # type: ignore[method-assign]


_check_shapes_of_named_tuples()

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test: at the end the other worker would wait for it."""
    items.sort(key=lambda item: item.path.name != "test_story.py")


@pytest.fixture
def _no_shape_checker() -> Iterator[None]:
    """Switch the checker of shapes off: a user has none, and sees the package's own errors."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep all caches of tests out of the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSERBY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _program_built_once() -> Iterator[None]:
    """Build the commands of the program once: that takes longer than many of its calls."""
    import typer.main

    from passerby.cli.app import app

    build: Callable[[Any], Any] = typer.main.get_command
    built: list[Any] = []

    def get(program: Any) -> Any:
        if program is not app:
            return build(program)
        built[:] = built or [build(app)]
        built[0].commands["figures"].__dict__.pop("_summaries", None)  # a plugin may have registered another
        return built[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", get)
        yield


@pytest.fixture(scope="session")
def draw_people(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``draw_people(out, people=4)``: the smallest pedestrians into a new folder, a second for 30 images.

    The same ones are drawn once, and copied.
    """
    from passerby.synthetic.export import write_pedestrians
    from passerby.synthetic.settings import Settings

    drawn: dict[str, Path] = {}

    def draw(out: Path, **settings: Any) -> Path:
        chosen = Settings(**{"size": (32, 16), "preset": "easy", **settings})
        if str(chosen) not in drawn:
            drawn[str(chosen)] = write_pedestrians(tmp_path_factory.mktemp("drawn") / "people", chosen)
        return Path(shutil.copytree(drawn[str(chosen)], out))

    return draw


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and weights, which is not part of the repository."""
    folder = Path(os.environ.get("PASSERBY_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"real data is absent: no {folder.name}/data beside the repository (set PASSERBY_SHARED)")
    return folder


@pytest.fixture(scope="session")
def legible() -> Callable[[Figure], None]:
    """``legible(figure)``: whatever is written is on the page, and nothing written lies on anything else written."""
    return _legible


def _legible(figure: Figure) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    FigureCanvasAgg(figure).draw()
    width, height = figure.get_size_inches() * figure.dpi
    unseen = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in _beyond(axis)}
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_text().strip() and text.get_visible() and id(text) not in unseen
    ]
    assert boxes
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.padded(-0.5).overlaps(b.padded(-0.5)), f"{one!r} on {other!r}"


def _beyond(axis: Axis) -> list[Text]:
    """Labels of ticks that are not drawn, as they lie beyond the axis."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    off = [tick for tick in ticks if not low - 1e-12 <= tick.get_loc() <= high + 1e-12]  # type: ignore[attr-defined]
    return [label for tick in off for label in (tick.label1, tick.label2)]
