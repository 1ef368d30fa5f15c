"""What is known about a checkpoint of another toolkit: the model that it is of, and how that toolkit uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

State = Mapping[str, Tensor]
Rename = Callable[[State], dict[str, Tensor]]
SMALL, TALL = (256, 128), (384, 128)
IMAGE_SIZE = "image size"


@dataclass(frozen=True, kw_only=True)
class Recognized:
    """The model here that a foreign checkpoint is of."""

    toolkit: str
    """The program that wrote it."""
    architecture: str
    """The network, as that program calls it."""
    model: str
    """The registered model."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options of the model."""
    sizes: tuple[tuple[int, int], ...] = (SMALL,)
    """The image sizes (height, width) that it can be of; several if the file does not tell."""
    normalization: str = "imagenet"
    """The normalization of images."""
    untold: tuple[str, ...] = (IMAGE_SIZE, "normalization")
    """The settings that are the toolkit's defaults, as the file does not tell them."""
    rename: Rename = dict
    """The function from the file's tensors to those of the model."""
    said: tuple[str, ...] = ()
    """The remarks that a user should know: what of the file is not used, and what its names do not tell."""


def count_people(state: State, *names: str) -> str:
    """Return the number of identities of a classifier, in words."""
    matrix = next((state[name] for name in names if name in state), None)
    return "no classifier" if matrix is None else f"a classifier of {matrix.shape[0]:,} people"
