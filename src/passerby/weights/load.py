"""Load checkpoints into models: all tensors must match, or the model is not changed and the names are told.

Only counters of batches may be missing; anything else that is missing from the file, or left over in it, has to be
named. A checkpoint may have a prefix before all names (``model.``), and the file of a whole model serves its backbone.
Reading files is in :mod:`passerby.weights.read`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from passerby.compat import current_state, former_tensor_name
from passerby.errors import WeightsError
from passerby.weights.architecture import architecture, way_to_build
from passerby.weights.key_maps import flat_to_nested, strong_baseline_names
from passerby.weights.read import COUNTER, Checkpoint, State, check_none, file_digest, read_checkpoint
from passerby.weights.read import read_state as read_state

_VARIANCE = "running_var"


@dataclass(frozen=True)
class WeightsReport:
    """The names of the tensors that a module took from a checkpoint, and of those that it did not."""

    matched: tuple[str, ...]
    """The tensors that were copied."""
    missing: tuple[str, ...]
    """The tensors of the module that the file lacks."""
    unexpected: tuple[str, ...]
    """The tensors of the file that the module lacks."""
    reshaped: tuple[str, ...]
    """The tensors of both that differ in shape, or are integers in the file and floating-point in the module."""
    fresh: tuple[str, ...] = ()
    """The tensors that keep their initial values on purpose."""
    outside: tuple[str, ...] = ()
    """The tensors of the file that belong to other parts of a whole model (its heads, for a backbone)."""
    prefix: str = ""
    """The prefix that was taken off the names in the file."""
    cast: str = ""
    """The lower precision that the file's values have; empty for float32."""
    source: str = ""
    """The file, as it was named."""
    sha256: str = ""
    """The SHA-256 of the file."""

    @property
    def total(self) -> int:
        """The number of tensors that could match; ``fresh`` and ignored ones do not count."""
        return len(self.matched) + len(self.missing) + len(self.reshaped)

    @property
    def share(self) -> float:
        """The share of :attr:`total` that matched."""
        return len(self.matched) / self.total if self.total else 0.0

    @property
    def origin(self) -> dict[str, str]:
        """The file that the weights come from, for a run's ``model.json``."""
        return {"source": self.source, "sha256": self.sha256}

    def __str__(self) -> str:
        parts = [f"{len(self.matched)} of {self.total} tensors matched"]
        parts += [f"the prefix {self.prefix} was taken off"] if self.prefix else []
        parts += [f"values were {self.cast}"] if self.cast else []
        for what in ("missing", "unexpected", "reshaped", "fresh", "outside"):
            names = getattr(self, what)
            if names:
                parts.append(f"{len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})")
        return "; ".join(parts)


def digest(module: nn.Module, beside: str) -> str:
    """Return hex digits that differ if a module's weights do, or the text ``beside`` them."""
    found = hashlib.sha256(beside.encode())
    named = {former_tensor_name(name): tensor for name, tensor in module.state_dict().items()}
    for name, tensor in sorted(named.items()):
        found.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def load_weights(
    module: nn.Module,
    source: str | Path,
    *,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
    ignore: Iterable[str] = (),
    fresh: Callable[[str], bool] | None = None,
    rename: Callable[[Mapping[str, Tensor]], State] | None = None,
    part_of_model: bool = False,
    fitted: Callable[[Mapping[str, Tensor]], State] | None = None,
    read: Checkpoint | None = None,
) -> WeightsReport:
    """Copy the tensors of a checkpoint into ``module``, all of them or none.

    A tensor of another shape is never skipped silently: it is an error, unless ``ignore`` names it.

    Args:
        module: the module to fill.
        source: a checkpoint file, a run folder, or ``hf:owner/name[/file]``; ``#NAME`` behind it is one of several
            networks in the file.
        missing: the prefixes of names that may be missing from the file.
        unexpected: the prefixes of names that may be left over in the file; one that stands under ``missing`` too is
            ignored.
        ignore: key prefixes to leave out on both sides (``("classifier.",)`` for other training people).
        fresh: whether a key of the module is one that a checkpoint may lack and that keeps its initial values then; a
            file that has some of these keys must have all.
        rename: a function from the file's tensors to tensors with the module's keys.
        part_of_model: whether the file may be that of a whole model, of which ``module`` is a part.
        fitted: a function from the tensors of the module's variants to those that the module has; what it leaves out
            is reported.
        read: the content of ``source``, where it has been read already.

    Raises:
        WeightsError: if a tensor is missing, left over or of another shape (the message names them), or
            :func:`~passerby.weights.read.read_state` fails.

    Example::

        report = load_weights(model, "resnet50.pth", ignore=("fc.",))
        print(report)  # 265 of 265 tensors matched; 53 fresh (…)
    """
    file = read or read_checkpoint(source)
    ours = module.state_dict()
    wrapped, state = ("", file.state) if file.part else _unwrapped(file.state, ours)
    state = current_state(state, ours.keys())
    state = rename(state) if rename else state
    prefix = _prefix(state, ours, source, part=file.part)
    theirs = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    outside = tuple(k for k in state if not k.startswith(prefix))
    if outside and not part_of_model:  # what does not have the prefix is left over
        theirs |= {k: state[k] for k in outside}
        outside = ()
    if fitted:
        all_theirs, theirs = theirs, fitted(theirs)
        outside += tuple(k for k in all_theirs if k not in theirs)
    allowed, extra = _tuple(missing), _tuple(unexpected)
    prefixes = (*_tuple(ignore), *(name for name in allowed if name in extra))
    theirs = {k: v for k, v in theirs.items() if not k.startswith(prefixes or "\0")}
    found = compare(module, theirs, ignore=prefixes, fresh=fresh, missing=allowed)
    report = replace(found, outside=outside, prefix=wrapped + prefix, cast=_precision(theirs), source=str(source))
    _check_fit(module, report, unexpected=extra, network=architecture(file.state))
    values = {key: theirs[key].to(ours[key].dtype) for key in report.matched}
    _check_values(source, values)
    module.load_state_dict(values, strict=False)
    return replace(report, sha256=file_digest(file.path))


def _tuple(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _prefix(state: Mapping[str, Tensor], ours: Mapping[str, Tensor], source: str | Path, *, part: str) -> str:
    """Return the prefix in the file under which most of the module's tensors are found.

    Raises:
        WeightsError: if several prefixes fit equally well: the file holds several networks.
    """
    found = Counter({"": 0})
    for name in state:
        for prefix in _beginnings(name):
            known = name[len(prefix) :]
            found[prefix] += known in ours and not known.endswith(COUNTER)
    found = Counter({prefix: n for prefix, n in found.items() if not part or f".{prefix}".endswith(f".{part}.")})
    if not found:
        raise WeightsError(f"'{source}' has no tensors under '{part}'. Fix: leave out what stands behind #")
    most = max(found.values())
    best = sorted((prefix for prefix, number in found.items() if number == most), key=len)
    if most == 0 or best[0] == "":
        return best[0]
    if len(best) > 1:
        file = str(source).partition("#")[0]
        raise WeightsError(
            f"'{file}' holds several networks: {', '.join(best)}. Fix: name one of them, {file}#{best[0].rstrip('.')}"
        )
    return best[0]


def _beginnings(name: str) -> Iterator[str]:
    """Yield the empty text, ``a.`` and ``a.b.`` of ``a.b.c``."""
    yield ""
    for place, letter in enumerate(name):
        if letter == ".":
            yield name[: place + 1]


def _unwrapped(state: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> tuple[str, Mapping[str, Tensor]]:
    """Return the state without the words that begin all of its names and none of the module's, and these words."""
    known, taken = {key.partition(".")[0] for key in ours}, ""
    while len(first := {key.partition(".")[0] for key in state}) == 1 and known.isdisjoint(first):
        word = first.pop() + "."
        if not all(key.startswith(word) for key in state):
            break
        taken, state = taken + word, {key.removeprefix(word): value for key, value in state.items()}
    return taken, state


def _check_fit(module: nn.Module, report: WeightsReport, *, unexpected: tuple[str, ...], network: str | None) -> None:
    """Check that nothing is missing, left over or of another shape.

    Args:
        network: the known network that the file is of, for the message.

    Raises:
        WeightsError: otherwise.
    """
    left = [k for k in report.unexpected if not k.endswith(COUNTER) and not k.startswith(unexpected or "\0")]
    if report.matched and not (report.missing or report.reshaped or left):
        return
    expected = architecture(module.state_dict())
    named = f"; its names and shapes are those of {network}" if network else ""
    fix = (
        "give a checkpoint of exactly this model (backbone, depth, variant), or allow by name what may be "
        f"{_allowed_by(report, left)}"
    )
    if network and expected and expected != network:
        named += f", expected {expected}"
        fix = f"give a checkpoint of {expected}, or {way_to_build(network)}"
    raise WeightsError(f"'{report.source}' does not fit {type(module).__name__}: {report}{named}. Fix: {fix}")


def _allowed_by(report: WeightsReport, left: Sequence[str]) -> str:
    kinds = {"missing": report.missing or report.reshaped, "unexpected": left or report.reshaped}
    return " and ".join(name for name, keys in kinds.items() if keys) or "missing"


def _check_values(source: str | Path, values: Mapping[str, Tensor]) -> None:
    """Check that the values are those of a trained network.

    Raises:
        WeightsError: if some are not finite, variances are negative, or all weights are 0.
    """
    check_none(
        source, [k for k, v in values.items() if not v.isfinite().all()], "are too large for the module's precision"
    )
    negative = [k for k, v in values.items() if k.endswith(_VARIANCE) and bool((v < 0).any())]
    check_none(source, negative, "are negative variances")
    weights = [k for k, v in values.items() if v.ndim > 1 and v.is_floating_point()]
    if weights and not any(bool(values[k].any()) for k in weights):
        check_none(source, weights, "are 0 everywhere, and there are no others")


def _precision(state: Mapping[str, Tensor]) -> str:
    """Return the name of the lowest precision, if it is below float32."""
    low = {v.dtype for v in state.values()} & {torch.float16, torch.bfloat16}
    return " and ".join(sorted(str(kind).removeprefix("torch.") for kind in low))


def compare(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    ignore: tuple[str, ...] = (),
    fresh: Callable[[str], bool] | None = None,
    missing: tuple[str, ...] = (),
) -> WeightsReport:
    """Return which tensors of ``state`` match ``module``, without copying. Absent batch counters do not count."""
    ours = {k: v for k, v in module.state_dict().items() if not k.startswith(ignore or "\0")}
    new = {k for k in ours if fresh is not None and fresh(k)}
    if any(k in state for k in new):  # a file with some of them is one of another variant, unless it has them all
        new = set()
    left = {k for k in ours if k not in state and (k.endswith(COUNTER) or k in new or k.startswith(missing or "\0"))}
    wanted = [k for k in ours if k not in left]
    shared = [k for k in wanted if k in state]
    return WeightsReport(
        matched=tuple(k for k in shared if _fits(state[k], ours[k])),
        missing=tuple(k for k in wanted if k not in state),
        unexpected=tuple(k for k in state if k not in ours),
        reshaped=tuple(k for k in shared if not _fits(state[k], ours[k])),
        fresh=tuple(sorted(left)),
    )


def _fits(theirs: Tensor, ours: Tensor) -> bool:
    return theirs.shape == ours.shape and (theirs.is_floating_point() or not ours.is_floating_point())


def load_backbone(
    backbone: nn.Module,
    source: str | Path,
    *,
    heads: Iterable[str] = ("fc.", "classifier."),
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
) -> WeightsReport:
    """Load an ImageNet (or other) checkpoint into a backbone; modules that a paper adds to it keep initial values.

    Args:
        backbone: the backbone, or a model that has no separate one; its ``added`` names the modules that a checkpoint
            may lack, its ``fitted`` is as for :func:`load_weights`.
        source: as for :func:`load_weights`; the file of a whole model serves too.
        heads: key prefixes to leave out on both sides.
        missing: the prefixes of names that may be missing from the file.
        unexpected: the prefixes of names that may be left over in the file.
    """
    added = frozenset(getattr(backbone, "added", ("attention",)))
    return load_weights(
        backbone,
        source,
        ignore=heads,
        fresh=lambda key: not added.isdisjoint(key.split(".")),
        rename=flat_to_nested,
        missing=missing,
        unexpected=unexpected,
        part_of_model=True,
        fitted=getattr(backbone, "fitted", None),
    )


def load_model(
    model: nn.Module,
    source: str | Path,
    *,
    ignore: Iterable[str] = (),
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
) -> WeightsReport:
    """Load the checkpoint of a whole model that another program may have trained, under that program's names.

    The arguments are those of :func:`load_weights`.
    """
    return load_weights(
        model, source, ignore=ignore, missing=missing, unexpected=unexpected, rename=foreign_names(model)
    )


def foreign_names(model: nn.Module) -> Callable[[Mapping[str, Tensor]], State]:
    """Return the function that renames the tensors of known trainers' files to those of a model here."""
    return strong_baseline_names if "neck.weight" in model.state_dict() else flat_to_nested
