"""Backbones by name: a new one is one registered class."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from passerby.errors import UnknownNameError
from passerby.models.attention import AttentionFactory
from passerby.models.backbones import backbone_names, create_backbone
from passerby.models.backbones.registry import BACKBONES, AttentionPosition, Backbone
from passerby.models.registry import create_model


class Tiny(Backbone):
    """One convolution of stride 32."""

    channels = 6

    def __init__(
        self,
        *,
        last_stride: int = 2,
        attention: AttentionFactory | None = None,
        attention_stages: tuple[int, ...] = (3, 4),
        attention_position: AttentionPosition = "post_bn",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, self.channels, 3, 16 * last_stride, 1)

    @property
    def stages(self) -> dict[str, nn.Module]:
        return {"conv": self.conv}

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.conv(images)
        return maps


def test_a_registered_backbone_is_known_to_every_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES._load(), "tiny", Tiny)
    assert "tiny" in backbone_names()
    assert create_backbone("tiny", last_stride=1)(torch.zeros(2, 3, 64, 32)).shape == (2, 6, 4, 2)
    model = create_model("strong_baseline", backbone="tiny").eval()
    assert model(torch.zeros(2, 3, 64, 32)).embedding.shape == (2, 6)
    assert list(model.map_layers()) == ["conv"]


@pytest.mark.parametrize("name", backbone_names())
def test_every_backbone_ends_in_its_last_stage(name: str) -> None:
    with torch.device("meta"):
        backbone = create_backbone(name)
        maps = backbone(torch.zeros(1, 3, 64, 32))
    assert maps.shape == (1, backbone.channels, 2, 1)
    last = list(backbone.stages.values())[-1]
    assert last is [module for module in backbone.modules() if module in set(backbone.stages.values())][-1]


def test_an_unknown_backbone_raises_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'resnet5'\. Did you mean resnet50"):
        create_backbone("resnet5")
