"""How images are embedded: one value that travels from the command line to the network, and into records.

``None`` leaves the choice to the run that is loaded, or else to the model's paper. A
:class:`~passerby.inference.model.Model` holds the resolved options, in which only ``blur`` may be ``None``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from passerby.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    import torch

AUTO = "auto"
BATCH_SIZE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceOptions:
    """The options of inference, validated when they are made.

    Raises:
        ConfigError: if a value has the wrong type or is out of range.
    """

    device: str = AUTO
    """The device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; or ``auto``, the first of CUDA, MPS, CPU that works."""
    batch_size: int = BATCH_SIZE
    """The number of images that go through the network at once."""
    flip_tta: bool | None = None
    """The flag for flip test-time augmentation: an embedding is the mean of those of an image and its mirror image."""
    normalize: bool | None = None
    """The flag that embeddings are L2-normalized before they are compared; they are stored as the network made them."""
    keypoints: str | None = None
    """The keypoint source of models that see body parts (:func:`~passerby.inference.keypoint_source.part_maker`)."""
    blur: bool | None = None
    """The flag that faces are blurred in images that are shown; ``None``: unless the images are synthetic."""

    def __post_init__(self) -> None:
        _check("device", self.device, "a device such as 'auto', 'cpu' or 'cuda:0'", _is_name(self.device))
        size: object = self.batch_size
        is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 1
        _check("batch_size", size, "a whole number from 1", is_size)
        for name in ("flip_tta", "normalize", "blur"):
            value = getattr(self, name)
            _check(name, value, "True, False or None", value is None or isinstance(value, bool))
        known = self.keypoints is None or _is_name(self.keypoints)
        _check("keypoints", self.keypoints, "a keypoint source such as 'auto', 'own', 'network' or a path", known)

    def updated(self, **changes: Any) -> InferenceOptions:
        """Return the options with some of them changed; ``None`` changes nothing.

        Raises:
            UnknownNameError: for an option that does not exist.

        >>> InferenceOptions(batch_size=8).updated(device="cpu", batch_size=None)
        InferenceOptions(device='cpu', batch_size=8, flip_tta=None, normalize=None, keypoints=None, blur=None)
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownNameError("inference option", name, known)
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def with_defaults(self, **defaults: Any) -> InferenceOptions:
        """Return the options with ``defaults`` where they are ``None``."""
        return self.updated(**{name: value for name, value in defaults.items() if getattr(self, name) is None})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Return the options in words.

        >>> InferenceOptions(device="cpu", flip_tta=True, normalize=True).describe()
        'on cpu, 64 images per batch, flip test-time augmentation, L2-normalized embeddings'
        """
        said = [f"on {self.device}", f"{self.batch_size} images per batch"]
        said += ["flip test-time augmentation"] if self.flip_tta else []
        if self.normalize is not None:
            said.append(f"{'L2-normalized' if self.normalize else 'unnormalized'} embeddings")
        said += [f"keypoints: {self.keypoints}"] if self.keypoints else []
        return ", ".join(said)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _check(name: str, value: object, expected: str, fits: bool) -> None:
    if not fits:
        raise ConfigError(f"inference option {name}: got {value!r}, expected {expected}. Fix: give such a value")


def resolve_device(name: str) -> torch.device:
    """Return the device that ``name`` stands for; ``auto`` is the first of CUDA, MPS and CPU that this machine has.

    Raises:
        ConfigError: if PyTorch cannot use it here.
    """
    import torch

    if name == AUTO:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise RuntimeError("it holds no values")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"device {name!r} cannot be used ({reason}). Fix: use 'auto', 'cpu', or a device that PyTorch finds here"
        ) from None
    return device
