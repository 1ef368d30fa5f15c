"""The checkpoints of torchreid (Zhou and Xiang, 2019): OSNet, its variants, and ResNets."""

from __future__ import annotations

from torch import Tensor

from passerby.errors import WeightsError
from passerby.weights.architecture import osnet_name, resnet_name
from passerby.weights.foreign.recognized import Recognized, State, count_people

_TOOLKIT = "torchreid"
_IMAGENET_CLASSES = 1000


def osnet(state: State, source: str) -> Recognized | None:
    """Recognize an OSNet, which has the same names here.

    Raises:
        WeightsError: if it is one of a width that is not known.
    """
    if "conv1.conv.weight" not in state or "conv5.conv.weight" not in state:
        return None
    name = osnet_name(state)
    if name is None or (name.startswith("osnet_ibn") and not name.endswith("x1_0")):
        channels, expected = state["conv1.conv.weight"].shape[0], "64" if name else "16, 32, 48 or 64"
        raise WeightsError(
            f"'{source}' is an OSNet{'-IBN' if name else ''} whose stem has {channels} channels, expected {expected}. "
            "Fix: give a checkpoint of a width that torchreid publishes"
        )
    people = count_people(state, "classifier.weight")
    return Recognized(toolkit=_TOOLKIT, architecture=name, model=name, said=(people,))


def resnet(state: State, source: str) -> Recognized | None:
    """Recognize a ResNet with a classifier.

    Raises:
        WeightsError: if it is an ImageNet classifier, or a backbone alone.
    """
    backbone = resnet_name(state)
    if backbone is None:
        return None
    head = state.get("fc.weight")
    if head is not None or "classifier.weight" not in state:
        is_imagenet = head is not None and head.shape[0] == _IMAGENET_CLASSES
        what = "an ImageNet classifier" if is_imagenet else "only a backbone"
        raise WeightsError(
            f"'{source}' is {what} ({backbone}), not trained to tell people apart. Fix: start a training from it, "
            f"`passerby train … --set model.backbone_weights={source}`"
        )
    is_reduced = "fc.0.weight" in state
    options = {"backbone": backbone}
    reduced = {"last_stride": 1, "features": state["fc.0.weight"].shape[0]} if is_reduced else {}
    return Recognized(
        toolkit=_TOOLKIT,
        architecture=backbone + (f"_fc{reduced['features']}" if is_reduced else ""),
        model="ide",
        options=options | reduced,
        rename=_ide_names,
        said=(count_people(state, "classifier.weight"),),
    )


def _ide_names(state: State) -> dict[str, Tensor]:
    heads = ("fc.", "classifier.", "backbone.")
    return {name if name.startswith(heads) else f"backbone.{name}": value for name, value in state.items()}
