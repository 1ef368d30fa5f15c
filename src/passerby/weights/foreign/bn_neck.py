"""Baselines with a BN neck: fast-reid's (He et al., 2020: BoT, AGW, SBS) and those of the bag of tricks' authors."""

from __future__ import annotations

import re
from typing import Any

from passerby.errors import WeightsError
from passerby.weights.architecture import resnet_name
from passerby.weights.foreign.recognized import IMAGE_SIZE, SMALL, TALL, Recognized, State, count_people
from passerby.weights.key_maps import strong_baseline_names

_FAST_REID = "fast-reid"
_NOT_READ = (
    (r"backbone\.conv1\.conv\.", "fast-reid's OSNet"),
    (r"backbone\.conv1\.0\.", "a ResNeSt"),
    (r"backbone\.patch_embed\.", "fast-reid's ViT"),
    (r"(backbone\.layer\d\.\d+\.se\.)", "a ResNet with squeeze-and-excitation"),
    (r"(b\d+\.|b\d+_head\.)", "fast-reid's MGN"),
    (r"heads\.bottleneck\.1\.", "a head that reduces the embedding"),
    (r"heads\.bnneck\.", "a head of fast-reid's first months"),
)
"""The names of networks of fast-reid that are not read here, and what they are."""


def fast_reid(state: State, source: str) -> Recognized | None:
    """Recognize a baseline of fast-reid.

    Raises:
        WeightsError: if it is a network of fast-reid that has no counterpart here, or normalizes in another way.
    """
    if not any(name.startswith(("heads.", "b1_head.")) for name in state):
        return None
    backbone = resnet_name(state, "backbone.")
    other = next((what for names, what in _NOT_READ if any(re.match(names, name) for name in state)), None)
    if other or backbone is None:
        raise WeightsError(
            f"'{source}' is {other or 'of fast-reid, with a backbone that is not known'}, which is not read. Fix: give "
            "a baseline of a ResNet, a ResNet-IBN-a or either with non-local blocks, with a BN neck and no reduction"
        )
    has_gem, non_local = "heads.pool_layer.p" in state, "backbone.NL_2.0.theta.weight" in state
    options: dict[str, Any] = {"backbone": backbone, "stem": "unpadded"}
    options |= {"pooling": "gem"} if has_gem else {}
    options |= {"non_local": True} if non_local else {}
    said = (
        count_people(state, "heads.weight", "heads.classifier.weight"),
        *(() if has_gem else ("a pooling without weights, which is taken to be the average, as in fast-reid's BoT",)),
        "images are resized with a bilinear filter here, with a bicubic one in fast-reid",
    )
    return Recognized(
        toolkit=_FAST_REID,
        architecture=backbone + (" with non-local blocks" if non_local else "") + (" and GeM" if has_gem else ""),
        model="strong_baseline",
        options=options,
        sizes=(SMALL, TALL) if has_gem or non_local else (SMALL,),
        rename=strong_baseline_names,
        untold=(IMAGE_SIZE,) if "pixel_mean" in state else (IMAGE_SIZE, "normalization"),
        said=said,
    )


def authors(state: State, source: str) -> Recognized | None:  # noqa: ARG001 - the signature of all recognizers
    """Recognize a baseline of the bag of tricks' authors, whose stem has no ReLU."""
    backbone = resnet_name(state, "base.")
    if backbone is None or "bottleneck.weight" not in state:
        return None
    return Recognized(
        toolkit="reid-strong-baseline",
        architecture=backbone,
        model="strong_baseline",
        options={"backbone": backbone, "stem": "linear"},
        rename=strong_baseline_names,
        said=(count_people(state, "classifier.weight"), "a stem without ReLU, as in its authors' code"),
    )
