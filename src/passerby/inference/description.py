"""The description of a run's model, ``model.json``: checked once, where it is read, as it may come from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from passerby.compat import current_settings, former_defaults
from passerby.config import first_fault, read_json
from passerby.data.images.normalize import Normalization
from passerby.errors import ConfigError, PasserbyError
from passerby.limits import MAX_SEED, wrong_size
from passerby.metrics.single_shot import MAX_DRAWS
from passerby.models.base import ReidModel
from passerby.models.keypoints.estimator import KIND
from passerby.models.registry import check_size, create_model
from passerby.types import Distance

_FIX = "export or train the model again"
_MOST_CLASSES = 10_000_000


class _Section(BaseModel):
    """A group of entries, whose types are those that were written; a later version may add some."""

    model_config = ConfigDict(frozen=True, extra="allow")


class _Evaluation(_Section):
    """The way embeddings are made and compared."""

    flip_tta: StrictBool | None = None
    normalize: StrictBool | None = None
    draws: StrictInt | None = Field(None, ge=0, le=MAX_DRAWS)
    seed: StrictInt = Field(0, ge=0, le=MAX_SEED)
    distance: Distance | None = None


class _Parts(_Section):
    """The way images are cut into body parts."""

    by: Literal["pose", "strips"] = "pose"
    overlap: float = Field(0, ge=0, le=0.5, strict=True, allow_inf_nan=False)
    align: StrictBool = True
    keypoints: StrictStr | None = None


class RunDescription(_Section):
    """The content of ``model.json``."""

    model: StrictStr
    options: dict[StrictStr, Any]
    num_classes: StrictInt | None = Field(ge=1, le=_MOST_CLASSES)
    size: tuple[StrictInt, StrictInt]
    evaluation: _Evaluation = _Evaluation()
    parts: _Parts = _Parts()
    normalization: Normalization = "imagenet"

    def build(self) -> ReidModel:
        """Build the network, with fresh weights."""
        check_size(self.model, num_classes=self.num_classes, **self.options)
        return create_model(self.model, num_classes=self.num_classes, **self.options)


def read_description(folder: Path) -> RunDescription:
    """Read the description of a run's model.

    Raises:
        ConfigError: if it is damaged, or describes a pose network.
    """
    file = folder / "model.json"
    found = read_json(file, fix=_FIX)
    if not isinstance(found, dict):
        raise damaged(file, f"got {type(found).__name__}, expected named values")
    tree = former_defaults(current_settings(found))
    if tree.get("model") == KIND:
        raise ConfigError(
            f"{folder} holds a pose network, which finds keypoints: it is for --keypoints, not a RUN. "
            "Fix: give a run of a re-identification model"
        )
    try:
        description = RunDescription.model_validate(tree)
    except ValidationError as error:
        raise damaged(file, first_fault(error)) from None
    if fault := wrong_size(description.size):
        raise damaged(file, f"size: {fault}")
    return description


def build_described(folder: Path, description: RunDescription) -> ReidModel:
    """Build the network that a run's description is of.

    Raises:
        ConfigError: if its options are not those of a model, or ask for more memory than any has.
        UnknownNameError: for a model or an option that does not exist.
    """
    try:
        return description.build()
    except PasserbyError:
        raise
    except Exception as error:  # noqa: BLE001 - options of any type reach the constructors of models and plugins
        raise damaged(folder / "model.json", repr(error)) from None


def damaged(file: Path, why: str) -> ConfigError:
    """Return the error of a description that is not one."""
    return ConfigError(f"{file} is damaged ({why}). Fix: {_FIX}")
