"""The Vision Transformer (Dosovitskiy et al., ICLR 2021), as re-identification uses it: images → tokens.

An image is cut into square patches, which may overlap; a linear layer makes a token of each, a learned class token is
put before them, and positions are added. Blocks follow (LayerNorm → attention, LayerNorm → two linear layers, each
added to its input), and a last LayerNorm. State-dict keys are timm's. CLIP's image encoder (Radford et al., ICML 2021)
has no bias of patches, a LayerNorm before the blocks and another activation.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from passerby.errors import ConfigError, ShapeError

PATCH = 16
"""The side of a patch, in pixels."""
_EPS, _CLIP_EPS = 1e-6, 1e-5


class _Attention(nn.Module):
    """The multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (b, heads, n, c / heads)
        y: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return y


class _MLP(nn.Module):
    """Two linear layers with GELU, or CLIP's approximation of it, between them."""

    def __init__(self, width: int, *, clip: bool) -> None:
        super().__init__()
        self.fc1, self.fc2, self.clip = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), clip

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        hidden = self.fc1(x)
        y: Tensor = self.fc2(hidden * torch.sigmoid(1.702 * hidden) if self.clip else F.gelu(hidden))
        return y


class Block(nn.Module):
    """A block of attention and linear layers."""

    def __init__(self, width: int, heads: int, *, clip: bool) -> None:
        super().__init__()
        eps = _CLIP_EPS if clip else _EPS
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.attn, self.mlp = _Attention(width, heads), _MLP(width, clip=clip)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class _Patches(nn.Module):
    """The linear layer of patches, under timm's key."""

    def __init__(self, width: int, stride: int, *, bias: bool) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride, bias=bias)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n c"]:
        tokens: Tensor = self.proj(images).flatten(2).transpose(1, 2)
        return tokens


class VisionTransformer(nn.Module):
    """A Vision Transformer of one image size: images ``(b, 3, h, w)`` → tokens ``(b, n, width)``, first the class's.

    Args:
        size: the image size as (height, width), which the learned positions belong to.
        stride: the distance of patches; below their side of 16 they overlap.
        clip: whether it is CLIP's.
    """

    def __init__(
        self, *, size: tuple[int, int], stride: int, width: int, depth: int, heads: int, clip: bool = False
    ) -> None:
        super().__init__()
        self.size = (int(size[0]), int(size[1]))
        rows, columns = ((side - PATCH) // stride + 1 for side in self.size)
        if min(self.size) < PATCH or stride < 1 or width % heads:
            raise ConfigError(f"a ViT cannot have size={size}, stride={stride}, width={width} and heads={heads}")
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + rows * columns, width))
        self.patch_embed = _Patches(width, stride, bias=not clip)
        self.norm_pre = nn.LayerNorm(width, eps=_CLIP_EPS) if clip else None
        self.blocks = nn.Sequential(*(Block(width, heads, clip=clip) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=_CLIP_EPS if clip else _EPS)
        for values in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(values, std=0.02)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n c"]:
        if tuple(images.shape[2:]) != self.size:
            (height, width), (h, w) = self.size, images.shape[2:]
            raise ShapeError(f"a ViT of {height}×{width} images got {h}×{w}. Fix: build it with size=({h}, {w})")
        patches = self.patch_embed(images)
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], dim=1) + self.pos_embed
        y: Tensor = self.norm(self.blocks(x if self.norm_pre is None else self.norm_pre(x)))
        return y
