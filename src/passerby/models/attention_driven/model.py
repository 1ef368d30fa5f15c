"""The network of "Attention Driven Person Re-identification" (Yang, Yan, Lu, Jia, Xie, Gao; Pattern Recognition 2019).

The five branches process the whole body and four parts of it, which are cropped by the person's keypoints. They share
the first convolution. Each learns identities separately, and an inter-attention weighs the parts.

- Table 1, base network: :class:`Branch`, :mod:`passerby.models.attention_driven.stem`;
- Eq 1–2, body regions: :mod:`passerby.data.keypoints.regions`;
- Eq 3–7, intra-attention: :mod:`passerby.models.attention_driven.blocks`;
- Eq 8, μ = σ(wE + b), and Eq 9, E_l = [(1 + μ_i) E_i]: :class:`InterAttention`;
- Eq 10–11, losses: :mod:`passerby.losses.branches`.

† The paper does not say how embeddings are compared. μ scales the features of each image anew, and lengths of features
differ between images for other reasons too; the Euclidean distance of [E_g, E_l] as they come depends on both. Here,
by default, E_g and E_l are divided by their lengths in the embedding, so that μ decides how much each part counts
within E_l, and both halves have "the same weight" (§3.4). Classifiers see the features as they come.

Rows of its Table 6: ``baseline`` and ``aligned`` are ``intra=False, fusion="concat"``, ``intra`` is
``fusion="concat"``, ``inter`` is ``intra=False``, both together are the defaults. The first two differ in how images
are cropped: into strips beside the whole image, or by pose into R_0 … R_4 (Fig 3), as for all other rows.

*Deviations*: the printed complexity (Table 12), 2.26 and 2.69 billion multiply-adds, cannot be derived from Table 1,
whose network has 1.96 billion at 384×192 and 2.39 with attention. Their difference, 0.43, and the weights, 6.8 and 10.4
million, agree; the attention path is a fit to these (see the blocks). The strides of conv3x, conv4x and conv5x, which
Table 1 does not print, are 2, 2 and 1 in all branches. FC fusion (Table 9) is one linear layer with as many outputs.
Images are normalized by ImageNet's mean and deviation; the paper's are "normalized by subtracting its channel means",
which is ``data.normalization=image_mean``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from passerby.data.keypoints.regions import PARTS
from passerby.errors import ConfigError, ShapeError, UnknownNameError
from passerby.models.attention_driven.blocks import LEVELS, AttentionBlock, Mask
from passerby.models.attention_driven.stem import Stem
from passerby.models.base import WHOLE, MapLayers, NoClassifier, ReidModel, identity_classifier
from passerby.models.card import Block, ModelCard, consecutive_blocks
from passerby.models.registry import register
from passerby.types import ModelOutput

GLOBAL = "global"
BRANCHES = (GLOBAL, *PARTS)
PART_FUSION = "parts"
"""The name of all parts together, among the branches of an embedding."""
Fusion = Literal["inter", "equal", "fc", "concat"]
_REGIONS = {
    "head": "the head",
    "upper_body": "the upper body",
    "upper_leg": "the thighs",
    "lower_leg": "the lower legs",
}
_STEM, _STAGES, _STRIDES = 32, (64, 128, 256, 512), (1, 2, 2, 1)
_GLOBAL_FEATURES, _PART_FEATURES = 256, 128


def _scaled(channels: int, width: float) -> int:
    """Return a scaled number of channels, a multiple of 4: attention units are a quarter as wide as their block."""
    return max(4, 4 * round(width * channels / 4))


class BranchOutput(NamedTuple):
    """The output of one branch."""

    features: Tensor
    """The features E, ``(b, d)``."""
    masks: tuple[Tensor, ...]
    """The intra-attention of blocks 2–4 averaged over channels, each ``(b, h, w)``; empty without attention."""


class Branch(nn.Module):
    """A column of Table 1 below the shared convolution: max-pool → four blocks → average pool → FC-reduce.

    Args:
        part: use half the channels, and a max-pool that keeps the height.
        intra: whether blocks 2–4 carry attention.
        attention: the options of that attention: ``decomposed``, ``mask`` and ``normalized``.
    """

    def __init__(self, c_in: int, *, part: bool, width: float, intra: bool, **attention: Any) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, (1, 2) if part else 2, 1)
        self.blocks = nn.ModuleList()
        for channels, stride, levels in zip(_STAGES, _STRIDES, LEVELS, strict=True):
            c_out = _scaled(channels // 2 if part else channels, width)
            depth = levels if intra else 0
            block = AttentionBlock(c_in, c_out, stride=stride, levels=depth, **attention)
            self.blocks.append(block)
            c_in = c_out
        self.features = _PART_FEATURES if part else _GLOBAL_FEATURES
        self.reduce = nn.Linear(c_in, self.features, bias=False)

    def forward(self, stem: Float[Tensor, "b c h w"]) -> BranchOutput:
        v, masks = self.pool(stem), []
        for block in self.blocks:
            v, m = block(v)
            if m is not None:
                masks.append(m.mean(dim=1))
        return BranchOutput(self.reduce(v.mean(dim=(2, 3))), tuple(masks))


class InterAttention(nn.Module):
    """A weight μ for each part, from the part's own features (Eq 8), by which they are scaled (Eq 9).

    Args:
        sizes: the number of features of each part.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.weigh = nn.ModuleList(nn.Linear(size, 1) for size in sizes)

    def weights(self, E: tuple[Float[Tensor, "b _"], ...]) -> Float[Tensor, "b p"]:
        """Return μ (Eq 8), in (0, 1)."""
        return torch.cat([torch.sigmoid(weigh(E_i)) for weigh, E_i in zip(self.weigh, E, strict=True)], dim=1)

    def forward(self, E: tuple[Float[Tensor, "b _"], ...]) -> tuple[Float[Tensor, "b _"], ...]:
        return tuple((1 + mu) * E_i for mu, E_i in zip(self.weights(E).split(1, dim=1), E, strict=True))  # Eq 9


@register
class AttentionDriven(ReidModel):
    """The five-branch network and every row of its ablations.

    The scores of each branch are ``branches["intra"]``. ``logits`` are those of the fused features; without fusion
    (``concat``) these have no classifier, and ``logits`` are the mean over the branches, which no loss should train.

    Args:
        intra: attention in blocks 2–4 of every branch.
        fusion: ``inter`` (Eq 8–9), ``equal`` (the same with μ = 0), ``fc`` (one linear layer) or ``concat`` (at test
            only, without a classifier). One branch alone has nothing to fuse.
        decomposed: compute spatial times channel attention, or both jointly (Table 8).
        mask: ``residual`` (Eq 7) or ``plain`` (Eq 5).
        normalized_attention: normalize spatial and channel attention before their product, and open masks gently (see
            the blocks); without, they saturate.
        branches: those of ``global``, ``head``, ``upper_body``, ``upper_leg`` and ``lower_leg`` to build (Table 7).
        width: factor on the channels of every convolution; the embedding keeps its length.
        dropout: dropout rate before every classifier.
        weigh_global: weigh the whole body by Eq 8 too, which the paper tried and found slightly worse (§3.4).
        same_weight: divide the embedding's halves, the global and the fused part features, by their lengths; where one
            layer or weight is over both (``fc``, ``weigh_global``), the whole. Without, embeddings are features as they
            come.
        own_statistics: normalize the shared convolution by batch statistics of each of the five streams. Without, one
            moving average over whole images and parts serves all of them at test (see the stem). The paper shares the
            layer ("Five intra-attention networks with shared lower convolutional layers", Fig 3) and does not mention
            batch normalization; a shared layer of Keras, which it uses, has one moving average, too.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="attention_driven",
        paper="Attention Driven Person Re-identification (Yang et al., 2019)",
        input_size=(384, 192),
        embedding_size=768,
        parameters=11_681_613,
        inputs=("images", "parts"),
        normalize=False,
    )
    backbone_prefix: ClassVar[str | None] = None
    identities: ClassVar[str] = "classifiers.0.weight"
    heads: ClassVar[tuple[str, ...]] = ("classifier.", "classifiers.", "inter.", "fuse.")

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        intra: bool = True,
        fusion: Fusion = "inter",
        decomposed: bool = True,
        mask: Mask = "residual",
        normalized_attention: bool = True,
        branches: tuple[str, ...] = BRANCHES,
        width: float = 1.0,
        dropout: float = 0.5,
        weigh_global: bool = False,
        same_weight: bool = True,
        own_statistics: bool = False,
    ) -> None:
        super().__init__()
        self.names = _in_order(branches)
        if fusion not in get_args(Fusion):
            raise UnknownNameError("fusion", fusion, get_args(Fusion))
        if width <= 0:
            raise ConfigError(f"width is a factor above 0, got {width}. Fix: 1 is the paper's, 0.5 half its channels")
        stem = _scaled(_STEM, width)
        self.stem = Stem(stem, self.names if own_statistics else ())
        attention = {"decomposed": decomposed, "mask": mask, "normalized": normalized_attention}
        self.branches = nn.ModuleDict(
            {name: Branch(stem, part=name != GLOBAL, width=width, intra=intra, **attention) for name in self.names}
        )
        sizes = [_GLOBAL_FEATURES if name == GLOBAL else _PART_FEATURES for name in self.names]
        self.embedding_size = sum(sizes)
        self.dropout = nn.Dropout(dropout)
        self.classifiers = nn.ModuleList(identity_classifier(size, num_classes) for size in sizes)
        fused = fusion != "concat" and len(self.names) > 1
        weighed = sizes if weigh_global else sizes[len(self.names) - len(self.part_names) :]
        self.inter = InterAttention(weighed) if fused and fusion == "inter" else None
        self.fuse = nn.Linear(self.embedding_size, self.embedding_size) if fused and fusion == "fc" else None
        self.classifier = identity_classifier(self.embedding_size, num_classes) if fused else None
        apart = GLOBAL in self.names and len(sizes) > 1 and self.fuse is None and not weigh_global
        self.halves = (_GLOBAL_FEATURES, sum(sizes[1:])) if apart else (sum(sizes),)
        self.same_weight = same_weight
        self._initialize()

    @property
    def part_names(self) -> tuple[str, ...]:
        """The names of the part branches, top to bottom."""
        return tuple(name for name in self.names if name != GLOBAL)

    def fitted(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of another row of the tables as this one has them, to start from.

        The branches that this one lacks are left out; so is attention that it lacks or has in another form (Table 8):
        its own then starts anew, as from a base network. Statistics that all streams share begin those of each.
        """
        places = tuple(f"branches.{name}." for name in self.names)
        found = {k: v for k, v in tensors.items() if k.startswith(places) or not k.startswith("branches.")}
        own, theirs = (_forms_of_attention(keys) for keys in (self.state_dict(), found))
        if theirs != own:
            found = {k: v for k, v in found.items() if ".attention." not in k}
        return self.stem.with_own_statistics(found, "stem.")

    def _initialize(self) -> None:
        """Initialize convolutions before a ReLU with Kaiming normal (fan out); others keep PyTorch's default."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "b 3 h w"], parts: Tensor | None = None) -> ModelOutput:
        """Return scores and embedding of whole images ``(b, 3, h, w)`` and their parts ``(b, 4, 3, y, x)``.

        Raises:
            ShapeError: if the model has part branches and ``parts`` is missing or of another shape.
        """
        outputs = self._branches(images, parts)
        E = tuple(outputs[name].features for name in self.names)
        intra = self._branch_scores(E)
        fused = self._fused(E)
        embedding = self._compared(fused)
        maps = {
            f"{name}_block{number}": mask
            for name, output in outputs.items()
            for number, mask in enumerate(output.masks, start=2)
        }
        return ModelOutput(
            embedding=embedding,
            metric=embedding,
            logits=self._logits(intra, fused),
            branches={"intra": intra} if intra else None,
            maps=maps or None,
        )

    def _branch_scores(self, E: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the scores of each branch; none for an embedding-only model."""
        if isinstance(self.classifiers[0], NoClassifier):
            return ()
        return tuple(head(self.dropout(E_i)) for head, E_i in zip(self.classifiers, E, strict=True))

    def _logits(self, intra: tuple[Tensor, ...], fused: Tensor) -> Tensor | None:
        if not intra:
            return None
        logits: Tensor = torch.stack(intra).mean(0) if self.classifier is None else self.classifier(self.dropout(fused))
        return logits

    def _compared(self, fused: Tensor) -> Tensor:
        """Return the embedding of the fused features."""
        if not self.same_weight:
            return fused
        return torch.cat([F.normalize(half, dim=1) for half in fused.split(self.halves, dim=1)], dim=1)

    def map_layers(self) -> MapLayers:
        """Return the four blocks of each branch."""
        of = {WHOLE if name == GLOBAL else name: cast(Branch, self.branches[name]).blocks for name in self.names}
        numbers = range(1, 1 + len(_STAGES))
        return {f"block{i}": {what: blocks[i - 1] for what, blocks in of.items()} for i in numbers}

    def blocks(self) -> tuple[Block, ...]:
        """Return the weighed branches; none if one layer mixes them (``fc``)."""
        if self.fuse is not None:
            return ()
        whole = [("whole body", _GLOBAL_FEATURES, "")] if GLOBAL in self.names else []
        parts = [(name.replace("_", " "), _PART_FEATURES, _REGIONS[name]) for name in self.part_names]
        return consecutive_blocks([*whole, *parts])

    def branches_of_embedding(self) -> dict[str, slice]:
        """Return the columns of each branch, and of all parts together (Table 7); none if one layer mixes them."""
        if self.fuse is not None or len(self.names) == 1:
            return {}
        columns = {name: block.columns for name, block in zip(self.names, self.blocks(), strict=True)}
        parts = [columns[name] for name in self.part_names]
        return columns | ({PART_FUSION: slice(parts[0].start, parts[-1].stop)} if len(parts) > 1 else {})

    def read_branch(self, embedding: Float[Tensor, "b _"], name: str) -> Float[Tensor, "b _"]:
        """Return the features of a branch, divided by their length where those of the whole embedding are."""
        features = super().read_branch(embedding, name)
        return F.normalize(features, dim=1) if self.same_weight else features

    def _branches(self, images: Tensor, parts: Tensor | None) -> dict[str, BranchOutput]:
        inputs = {GLOBAL: self.stem.stream(images, GLOBAL)} if GLOBAL in self.names else {}
        if self.part_names:
            chosen = _checked(images, parts)[:, [PARTS.index(name) for name in self.part_names]]  # (b, p, 3, y, x)
            inputs |= self.stem.parts(chosen, self.part_names)
        return {name: self.branches[name](inputs[name]) for name in self.names}

    def _fused(self, E: tuple[Tensor, ...]) -> Tensor:
        """Return ``[E_g, E_l]``: the global features are not weighed, unless ``weigh_global``."""
        if self.inter is not None:
            split = len(self.names) - len(self.inter.weigh)
            E = (*E[:split], *self.inter(E[split:]))  # Eq 9
        joined = torch.cat(E, dim=1)
        fused: Tensor = joined if self.fuse is None else self.fuse(joined)
        return fused


def _forms_of_attention(names: Iterable[str]) -> set[bool]:
    """Return whether attention is decomposed, which has a convolution for channels; nothing without attention."""
    attention = [name for name in names if ".attention." in name]
    return {any(".attention.channel." in name for name in attention)} if attention else set()


def _in_order(branches: tuple[str, ...]) -> tuple[str, ...]:
    for name in branches:
        if name not in BRANCHES:
            raise UnknownNameError("branch", name, BRANCHES)
    if not branches:
        raise ConfigError(f"a model needs at least one branch of {', '.join(BRANCHES)}")
    return tuple(name for name in BRANCHES if name in branches)


def _checked(images: Tensor, parts: Tensor | None) -> Tensor:
    wanted = f"(b, {len(PARTS)}, 3, height, width) for {', '.join(PARTS)}"
    fix = "Fix: crop them with passerby.data.keypoints.crops.crop_parts"
    if parts is None:
        raise ShapeError(f"attention_driven needs the parts of each image, {wanted}, and got none. {fix}")
    if parts.ndim != 5 or parts.shape[:3] != (len(images), len(PARTS), 3):
        raise ShapeError(f"parts must be {wanted}, with b = {len(images)}; got {tuple(parts.shape)}. {fix}")
    return parts
