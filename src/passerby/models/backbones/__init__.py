"""The backbones: images ``(b, 3, h, w)`` → map ``(b, C, h/32, w/32)``. A head is the model's."""

from passerby.models.backbones.registry import backbone_names as backbone_names
from passerby.models.backbones.registry import create_backbone as create_backbone
