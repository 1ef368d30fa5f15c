"""The commands of registered figures, made from what each figure needs (:mod:`passerby.figures.registry`).

A figure whose command has more options than its needs and its own keywords has a file in ``cli/figures`` instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from passerby.cli.command import Command
from passerby.cli.options import (
    BlurOption,
    DataOption,
    DeviceOption,
    FeaturesOption,
    FeaturesOptions,
    FigureOption,
    FlipTtaOption,
    KeypointsOption,
    NormalizeOption,
    OptionalRunArgument,
    OptionalRunsArgument,
    QueryOption,
    RequiredDataOption,
    RunArgument,
    RunsArgument,
    SampleSeedOption,
)
from passerby.cli.registry import Entry, entries

if TYPE_CHECKING:
    from passerby.figures.registry import RegisteredFigure

GROUP = "figures"
NumberOption = Annotated[int | None, typer.Option("-n", min=1, help="Number of images (default 4).")]
_REQUIRED = inspect.Parameter.empty


class FigureGroup(TyperGroup):
    """The group of figure commands: those of ``cli/figures``, and one for each other registered figure.

    A generated command is made when it is used; until then only its one-line help is known, which needs no import.
    """

    @cached_property
    def _summaries(self) -> dict[str, str]:
        from passerby.figures.registry import summaries

        return {name: text for name, text in summaries().items() if name not in self.commands}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all figure commands."""
        return [*super().list_commands(ctx), *self._summaries]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a figure, or ``None``."""
        known = super().get_command(ctx, cmd_name)
        if known is not None or cmd_name not in self._summaries:
            return known
        return _FigureCommand(name=cmd_name, help=self._summaries[cmd_name])


class _FigureCommand(TyperCommand):
    """The command of a registered figure, which imports the figure when it runs."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        assert self.name is not None
        return figure_command(self.name).make_context(info_name, args, parent, **extra)


def figure_command(name: str) -> Command:
    """Return the command of a registered figure, with all its options."""
    function = figure_entry(name).function
    assert function is not None
    program = typer.Typer(add_completion=False)
    program.command(name, cls=Command, no_args_is_help=True)(function)
    command = get_command(program)
    assert isinstance(command, Command)
    return command


def figure_entry(name: str) -> Entry:
    """Return the entry of a generated command, as :func:`passerby.cli.registry.command` would register it."""
    from passerby.figures.registry import FIGURES

    return Entry(name=name, group=GROUP, function=_function(FIGURES[name]))


def generated_names() -> list[str]:
    """Return the names of the figures whose commands are generated."""
    from passerby.figures.registry import summaries

    own = {entry.name for entry in entries() if entry.group == GROUP}
    return [name for name in summaries() if name not in own]


def _function(entry: RegisteredFigure) -> Callable[..., None]:
    """Return the function of a command: its signature has the options of the figure's needs and its keywords."""
    keywords = figure_keywords(entry)
    own = {name: _parameter(name, default, kind) for name, (kind, default) in keywords.items()}

    def draw(**values: Any) -> None:
        from passerby.figures.save import check_figure, save_figure

        output = values.pop("output")
        check_figure(output)
        chosen = {name: values.pop(name) for name in keywords}
        inputs, title = _INPUTS[entry.needs](entry, values)
        save_figure(entry.draw(inputs, title=title, **chosen), output)
        typer.echo(f"The figure is in {output}.")

    parameters = {each.name: each for each in (*_parameters(entry), *own.values())}
    draw.__doc__ = entry.summary
    draw.__annotations__ = {name: each.annotation for name, each in parameters.items()}
    draw.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    return draw


def figure_keywords(entry: RegisteredFigure) -> dict[str, tuple[Any, Any]]:
    """Return annotation and default of a figure's own options: its keywords annotated with a help text."""
    function = inspect.unwrap(entry.draw)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        annotation = parameter.annotation
        if isinstance(annotation, str) and "Annotated[" in annotation:
            annotation = eval(annotation, function.__globals__)
        if get_origin(annotation) is Annotated:
            kind, text = get_args(annotation)[:2]
            found[name] = (Annotated[kind, typer.Option(help=text)], parameter.default)
    return found


def _parameters(entry: RegisteredFigure) -> list[inspect.Parameter]:
    """Return the parameters of the options that every figure with the same needs has."""
    several = entry.several
    output = _parameter("output", _REQUIRED, FigureOption)
    if entry.needs == "log":
        return [_parameter("runs", _REQUIRED, RunsArgument if several else RunArgument), output]
    inference = [
        _parameter("device", "auto", DeviceOption),
        _parameter("keypoints", None, KeypointsOption),
        _parameter("flip_tta", None, FlipTtaOption),
        _parameter("normalize", None, NormalizeOption),
    ]
    if entry.needs == "embeddings":
        return [
            output,
            _parameter("runs", None, OptionalRunsArgument if several else OptionalRunArgument),
            _parameter("data", None, DataOption),
            _parameter("features", None, FeaturesOptions if several else FeaturesOption),
            *inference,
        ]
    return [
        _parameter("runs", _REQUIRED, RunsArgument if several else RunArgument),
        _parameter("data", _REQUIRED, RequiredDataOption),
        output,
        _parameter("query", None, QueryOption),
        _parameter("n", None, NumberOption),
        _parameter("seed", 0, SampleSeedOption),
        _parameter("blur", None, BlurOption),
        *inference[:2],
    ]


def _parameter(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _histories(entry: RegisteredFigure, values: Mapping[str, Any]) -> tuple[Any, str]:
    from passerby.explain.format import run_names
    from passerby.figures.training_curves import TrainingHistory

    runs = _as_tuple(values["runs"])
    found = [TrainingHistory.from_run(run, name) for run, name in zip(runs, run_names(runs), strict=True)]
    return (found if entry.several else found[0]), entry.title


def _embeddings(entry: RegisteredFigure, values: Mapping[str, Any]) -> tuple[Any, str]:
    from passerby.cli.figures.embedding_options import EmbeddingOptions
    from passerby.inference.options import InferenceOptions

    inference = {name: values[name] for name in ("device", "keypoints", "flip_tta", "normalize")}
    options = EmbeddingOptions(
        runs=_as_tuple(values["runs"]),
        data=values["data"],
        features=_as_tuple(values["features"]),
        inference=InferenceOptions(**inference),
        whole_gallery=True,
    )
    found = options.open()
    return (found if entry.several else found[0]), options.location


def _views(entry: RegisteredFigure, values: Mapping[str, Any]) -> tuple[Any, str]:
    from passerby.cli.figures.model_options import ModelOptions
    from passerby.cli.figures.sample_options import SampleOptions
    from passerby.explain.images import view_samples
    from passerby.inference.options import InferenceOptions

    samples = SampleOptions(values["query"], values["n"], values["seed"])
    inference = InferenceOptions(**{name: values[name] for name in ("device", "keypoints", "blur")})
    options = ModelOptions(_as_tuple(values["runs"]), values["data"], inference)
    models = options.load()
    selected = samples.select(options.dataset)
    views = [view_samples(model, options.images, selected) for model in models]
    if entry.several:
        return views, f"{entry.title}: {' and '.join(options.names)} on {options.data}"
    return views[0], options.title(entry.title, models[0])


def _as_tuple(value: Any) -> tuple[Path, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (value,)


_INPUTS: dict[str, Callable[[RegisteredFigure, Mapping[str, Any]], tuple[Any, str]]] = {
    "log": _histories,
    "embeddings": _embeddings,
    "samples": _views,
}
