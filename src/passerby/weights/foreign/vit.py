"""The checkpoints of TransReID's baseline (He et al., 2021) and of CLIP-ReID (Li et al., 2023), both with a ViT."""

from __future__ import annotations

import re

from torch import Tensor

from passerby.errors import WeightsError
from passerby.weights.foreign.recognized import Recognized, State, count_people

_PATCH = 16
_GRIDS = {
    ((height - _PATCH) // stride + 1) * ((width - _PATCH) // stride + 1): ((height, width), stride)
    for height, width in ((256, 128), (384, 128), (224, 224), (256, 256))
    for stride in (16, 12)
}
"""The image size and the stride of patches, by the number of patches."""
_HEADS = {768: 12, 384: 6}
"""The number of attention heads, by width: ViT-B and DeiT-S."""
_DEPTH = 12
_UNUSED = ("text_encoder.", "prompt_learner.", "bottleneck_proj.", "classifier_proj.")
_CLIP_NAMES = (
    (r"class_embedding", "cls_token"),
    (r"positional_embedding", "pos_embed"),
    (r"conv1\.", "patch_embed.proj."),
    (r"ln_pre\.", "norm_pre."),
    (r"ln_post\.", "norm."),
    (r"transformer\.resblocks\.(\d+)\.", r"blocks.\1."),
    (r"(blocks\.\d+)\.attn\.in_proj_", r"\1.attn.qkv."),
    (r"(blocks\.\d+)\.attn\.out_proj\.", r"\1.attn.proj."),
    (r"(blocks\.\d+)\.ln_([12])\.", r"\1.norm\2."),
    (r"(blocks\.\d+)\.mlp\.c_fc\.", r"\1.mlp.fc1."),
    (r"(blocks\.\d+)\.mlp\.c_proj\.", r"\1.mlp.fc2."),
)
"""The beginnings of names in CLIP's image encoder, and what they become, one after the other."""


def transreid(state: State, source: str) -> Recognized | None:
    """Recognize TransReID's baseline.

    Raises:
        WeightsError: if it is TransReID's full model, which needs more than an image, or of another ViT.
    """
    if "base.cls_token" not in state or "base.pos_embed" not in state:
        return None
    positions = state["base.pos_embed"]
    if "base.sie_embed" in state:
        raise _refused(source, "TransReID with an embedding of cameras or viewpoints, which an image does not tell")
    if any(name.startswith("b1.") for name in state):
        raise _refused(source, "TransReID with its jigsaw branch")
    blocks = {name.split(".")[2] for name in state if name.startswith("base.blocks.")}
    size, stride, heads = _grid(source, positions, len(blocks))
    said = [count_people(state, "classifier.weight")]
    said += ["base.fc, the head of its ImageNet start, is not used"] if "base.fc.weight" in state else []
    return Recognized(
        toolkit="TransReID",
        architecture=f"ViT of width {positions.shape[-1]}, stride {stride}",
        model="vit_b16",
        options={"size": list(size), "stride": stride, "width": positions.shape[-1], "heads": heads},
        sizes=(size,),
        normalization="half",
        untold=("normalization",),
        rename=_transreid_names,
        said=tuple(said),
    )


def clip_reid(state: State, source: str) -> Recognized | None:
    """Recognize CLIP-ReID with a ViT.

    Raises:
        WeightsError: if it needs the camera, or is of another encoder.
    """
    if not any(name.startswith("image_encoder.") for name in state) or "bottleneck_proj.weight" not in state:
        return None
    positions, projection = (state.get(f"image_encoder.{name}") for name in ("positional_embedding", "proj"))
    if positions is None or projection is None:
        raise _refused(source, "CLIP-ReID with a ResNet")
    if "cv_embed" in state:
        raise _refused(source, "CLIP-ReID with an embedding of cameras or viewpoints, which an image does not tell")
    blocks = {name.split(".")[3] for name in state if name.startswith("image_encoder.transformer.resblocks.")}
    size, stride, heads = _grid(source, positions[None], len(blocks))
    unused = sum(name.startswith(_UNUSED) for name in state)
    width = positions.shape[-1]
    return Recognized(
        toolkit="CLIP-ReID",
        architecture=f"ViT of width {width}, stride {stride}",
        model="clip_vit_b16",
        options={
            "size": list(size),
            "stride": stride,
            "width": width,
            "heads": heads,
            "projection": projection.shape[1],
        },
        sizes=(size,),
        normalization="half",
        untold=("normalization",),
        rename=_clip_names,
        said=(
            count_people(state, "classifier.weight"),
            f"{unused} tensors of its training alone (text encoder, prompts, the projection's head) are not used",
        ),
    )


def _grid(source: str, positions: Tensor, depth: int) -> tuple[tuple[int, int], int, int]:
    """Return the image size, the stride of patches and the number of heads."""
    patches, width = positions.shape[1] - 1, positions.shape[2]
    if depth != _DEPTH or width not in _HEADS:
        raise _refused(source, f"a ViT of {depth} blocks and width {width}, expected 12 and 768 or 384")
    if patches not in _GRIDS:
        raise _refused(source, f"a ViT of {patches} patches, expected one of {sorted(_GRIDS)}")
    return *_GRIDS[patches], _HEADS[width]


def _refused(source: str, what: str) -> WeightsError:
    fix = "give the baseline, a ViT-B/16 or DeiT-S that takes images alone"
    return WeightsError(f"'{source}' is {what}: it is not read. Fix: {fix}")


def _transreid_names(state: State) -> dict[str, Tensor]:
    kept = {name: value for name, value in state.items() if not name.startswith("base.fc.")}
    return {re.sub(r"^bottleneck\.", "neck.", re.sub(r"^base\.", "backbone.", k)): v for k, v in kept.items()}


def _clip_names(state: State) -> dict[str, Tensor]:
    """Return the tensors of the image encoder, its neck and its classifier under our names."""
    renamed = {}
    for name, value in state.items():
        if name == "image_encoder.proj":
            renamed["projection.weight"] = value.T
        elif name.startswith("image_encoder."):
            key = name.removeprefix("image_encoder.")
            for beginning, ours in _CLIP_NAMES:
                key = re.sub(f"^{beginning}", ours, key)
            renamed[f"backbone.{key}"] = {"cls_token": value[None, None], "pos_embed": value[None]}.get(key, value)
        elif not name.startswith(_UNUSED):
            renamed[re.sub(r"^bottleneck\.", "neck.", name)] = value
    return renamed
