"""Load checkpoints into models: report what matched, and change nothing if too little does.

Sources are safetensors files, PyTorch files (``weights_only=True``: no code in them is run) and, only when written as
``hf:owner/name[/file]``, the Hugging Face hub. Wrappers (``state_dict``, ``model``) and ``module.`` prefixes are
removed.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from passerby.compat import current_state, former_tensor_name
from passerby.errors import WeightsError
from passerby.weights.key_maps import flat_to_nested

State = dict[str, Tensor]
_WRAPPERS = ("state_dict", "model", "model_state_dict")
_COUNTER = "num_batches_tracked"
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


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

    @property
    def total(self) -> int:
        """The number of tensors that could match; ``fresh`` and ignored ones do not count."""
        return len(self.matched) + len(self.missing) + len(self.reshaped)

    @property
    def share(self) -> float:
        """The share of :attr:`total` that matched."""
        return len(self.matched) / self.total if self.total else 0.0

    def __str__(self) -> str:
        parts = [f"{len(self.matched)} of {self.total} tensors matched"]
        for what in ("missing", "unexpected", "reshaped", "fresh"):
            names = getattr(self, what)
            if names:
                parts.append(f"{len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})")
        return "; ".join(parts)


def read_state(source: str | Path) -> State:
    """Return the tensors of a checkpoint file, or of ``hf:owner/name[/file]``.

    Raises:
        WeightsError: if the file does not exist, is not a checkpoint, or has values that are not finite.
    """
    path = _from_hub(str(source)[3:]) if str(source).startswith("hf:") else _local(source)
    state = _read(path)
    if all(key.startswith("module.") for key in state):  # DataParallel prefixes all or none
        state = {key.removeprefix("module."): value for key, value in state.items()}
    _check_none(
        path, [k for k, v in state.items() if not _is_plain(v)], "are sparse, quantized, complex or without values"
    )
    _check_none(path, [k for k, v in state.items() if not v.isfinite().all()], "hold NaN or infinity")
    return dict(state)


def _local(source: str | Path) -> Path:
    path = Path(source)
    try:
        path = path.expanduser()
        exists = path.is_file()
    except (OSError, RuntimeError):  # a name too long for the file system, an unknown user's home
        exists = False
    if not exists:
        raise WeightsError(f"no checkpoint at {path}; give a .safetensors or .pth file, or hf:owner/name")
    return path


def _is_plain(value: Tensor) -> bool:
    return value.layout is torch.strided and not value.is_meta and value.dtype in (*_FLOATS, *_INTEGERS)


def _check_none(source: str | Path, keys: list[str], fault: str) -> None:
    """Check that no tensor has the ``fault``."""
    if keys:
        raise WeightsError(f"{source}: {len(keys)} tensors {fault} ({', '.join(keys[:3])}); do not use it")


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise WeightsError(f"{path} is not a PyTorch file of plain tensors; save its state_dict() alone") from None
    except Exception as error:  # noqa: BLE001 - arbitrary bytes can break the unpickler anywhere, in any way
        raise WeightsError(
            f"{path} is not a readable checkpoint ({_first_line(error)}); give a whole .safetensors or .pth file"
        ) from None
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not any(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path} holds {type(content).__name__}, not named tensors; save a state_dict()")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file or "model.safetensors"))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise WeightsError(f"hf:{name} could not be fetched ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


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
    minimum: float = 0.9,
    ignore: Iterable[str] = (),
    fresh: Callable[[str], bool] | None = None,
    rename: Callable[[Mapping[str, Tensor]], State] | None = None,
) -> WeightsReport:
    """Copy the matching tensors of a checkpoint into ``module``, or none of them.

    A tensor of another shape is never skipped silently: it is an error, unless ``ignore`` names it.

    Args:
        module: the module to fill.
        source: a checkpoint file, or ``hf:owner/name[/file]``.
        minimum: the share of the module's tensors that must match; the others may be missing from the file.
        ignore: key prefixes to leave out on both sides (``("classifier.",)`` for other training people).
        fresh: whether a key of the module is one that no checkpoint has and that keeps its initial values.
        rename: a function from the file's tensors to tensors with the module's keys.

    Raises:
        WeightsError: if fewer tensors match or a shape differs (the message names them), or :func:`read_state` fails.

    Example::

        report = load_weights(model, "resnet50.pth", ignore=("fc.",))
        print(report)  # 318 of 320 tensors matched; 2 missing (…)
    """
    state = current_state(read_state(source), module.state_dict().keys())
    state = rename(state) if rename else state
    prefixes = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    theirs = {k: v for k, v in state.items() if not k.startswith(prefixes or "\0")}
    report = compare(module, theirs, ignore=prefixes, fresh=fresh)
    if report.share < minimum or not report.matched or report.reshaped:
        hint = ", with equal shapes; name in `ignore` what shall keep its initial values" if report.reshaped else ""
        raise WeightsError(
            f"{source} does not fit {type(module).__name__}: {report}; at least {minimum:.0%} must match{hint}"
        )
    ours = module.state_dict()
    values = {key: theirs[key].to(ours[key].dtype) for key in report.matched}
    _check_none(
        source, [k for k, v in values.items() if not v.isfinite().all()], "are too large for the module's precision"
    )
    module.load_state_dict(values, strict=False)
    return report


def compare(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    ignore: tuple[str, ...] = (),
    fresh: Callable[[str], bool] | None = None,
) -> WeightsReport:
    """Return which tensors of ``state`` match ``module``, without copying. Absent batch counters do not count."""
    ours = {k: v for k, v in module.state_dict().items() if not k.startswith(ignore or "\0")}
    left = {k for k in ours if k not in state and (k.endswith(_COUNTER) or (fresh is not None and fresh(k)))}
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
    backbone: nn.Module, source: str | Path, *, heads: Iterable[str] = ("fc.", "classifier.")
) -> WeightsReport:
    """Load an ImageNet (or other) checkpoint into a backbone; attention modules keep their initial values.

    Args:
        backbone: the backbone, or a model that has no separate one.
        source: a checkpoint file, or ``hf:owner/name[/file]``.
        heads: key prefixes to leave out on both sides.
    """
    return load_weights(
        backbone,
        source,
        ignore=heads,
        fresh=lambda key: ".attention." in key,
        rename=flat_to_nested,
    )
