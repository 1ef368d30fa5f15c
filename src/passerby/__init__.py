"""passerby: person re-identification. Images become embeddings, embeddings rankings, rankings numbers or search hits.

Names are imported when first used, so that ``import passerby`` (and ``passerby --help``) is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from passerby import data
    from passerby.data.dataset import Dataset
    from passerby.errors import (
        ConfigError,
        DatasetLayoutError,
        ImageError,
        OutputError,
        PasserbyError,
        ProtocolError,
        ShapeError,
        TrainingError,
        UnknownNameError,
        WeightsError,
    )
    from passerby.evaluation.evaluate import evaluate
    from passerby.gallery import Gallery
    from passerby.inference.load import load
    from passerby.inference.model import Model
    from passerby.inference.options import InferenceOptions
    from passerby.inference.similarity import Similarity
    from passerby.models.registry import create_model, list_models
    from passerby.types import Batch, Embeddings, EvalResult, Hit, ModelOutput, Protocol, Ranking, Role, Sample
    from passerby.weights.load import load_weights

__version__ = "0.1.0.dev0"

_HOMES = {
    "passerby.data.dataset": "Dataset",
    "passerby.errors": "ConfigError DatasetLayoutError ImageError OutputError PasserbyError ProtocolError ShapeError "
    "TrainingError UnknownNameError WeightsError",
    "passerby.evaluation.evaluate": "evaluate",
    "passerby.inference.model": "Model",
    "passerby.inference.options": "InferenceOptions",
    "passerby.inference.similarity": "Similarity",
    "passerby.gallery": "Gallery",
    "passerby.models.registry": "create_model list_models",
    "passerby.weights.load": "load_weights",
    "passerby.inference.load": "load",
    "passerby.types": "Batch Embeddings EvalResult Hit ModelOutput Protocol Ranking Role Sample",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Batch",
    "ConfigError",
    "Dataset",
    "DatasetLayoutError",
    "Embeddings",
    "EvalResult",
    "Gallery",
    "Hit",
    "ImageError",
    "InferenceOptions",
    "Model",
    "ModelOutput",
    "OutputError",
    "PasserbyError",
    "Protocol",
    "ProtocolError",
    "Ranking",
    "Role",
    "Sample",
    "ShapeError",
    "Similarity",
    "TrainingError",
    "UnknownNameError",
    "WeightsError",
    "__version__",
    "create_model",
    "data",
    "evaluate",
    "list_models",
    "load",
    "load_weights",
]


def __getattr__(name: str) -> object:
    if name == "data":
        return importlib.import_module("passerby.data")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'passerby' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value  # looked up once
    return value


def __dir__() -> list[str]:
    return __all__
