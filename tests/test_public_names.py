"""The flat public face: a change of it is a decision, not an accident."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import passerby

NAMES = """
Batch ConfigError Dataset DatasetLayoutError Embeddings EvalResult Gallery Hit ImageError InferenceOptions
Model ModelOutput OutputError PasserbyError Protocol ProtocolError Ranking Role Sample ShapeError Similarity
TrainingError UnknownNameError WeightsError __version__ create_model data evaluate list_models load
load_weights
"""
PUBLIC = NAMES.split()


def test_the_public_names_are_these() -> None:
    assert passerby.__all__ == PUBLIC
    assert dir(passerby) == PUBLIC


def test_they_are_sorted() -> None:
    assert passerby.__all__ == sorted(passerby.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_each_resolves_to_what_is_called_so(name: str) -> None:
    value = getattr(passerby, name)
    assert getattr(value, "__name__", name).removeprefix("passerby.") == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'create_modle'"):
        _ = passerby.create_modle  # type: ignore[attr-defined]


def test_every_error_is_public() -> None:
    errors = {c.__name__ for c in passerby.PasserbyError.__subclasses__()} | {"PasserbyError"}
    assert errors <= set(PUBLIC)


def test_the_version_is_the_distribution_s() -> None:
    assert passerby.__version__ == importlib.metadata.version("passerby")


def test_data_loads() -> None:
    assert callable(passerby.data.load)


def test_importing_is_light() -> None:
    heavy = (
        "import sys, passerby.cli; print([m for m in ('torch', 'numpy', 'kornia', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
