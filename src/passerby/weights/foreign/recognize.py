"""Recognize a checkpoint of another toolkit by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Callable

from passerby.weights.foreign import bn_neck, torchreid, vit
from passerby.weights.foreign.recognized import Recognized, State

Recognizer = Callable[[State, str], Recognized | None]
_RECOGNIZERS: tuple[Recognizer, ...] = (
    torchreid.osnet,
    bn_neck.fast_reid,
    vit.transreid,
    vit.clip_reid,
    bn_neck.authors,
    torchreid.resnet,
)
_WRAPPERS = ("model", "net", "network")


def recognize(state: State, source: str) -> Recognized | None:
    """Return the model that a checkpoint is of; ``None`` if it is of no toolkit that is known.

    Args:
        state: the tensors, as they are named in the file, :func:`unwrapped`.
        source: the file's name, for errors.

    Raises:
        WeightsError: if it is known, and known not to be usable; the message says why.
    """
    return next((found for each in _RECOGNIZERS if (found := each(state, source))), None)


def unwrapped(state: State) -> State:
    """Return the state without words that wrap a whole network before all of its names."""
    for word in _WRAPPERS:
        if state and all(name.startswith(f"{word}.") for name in state):
            return unwrapped({name.removeprefix(f"{word}."): value for name, value in state.items()})
    return state
