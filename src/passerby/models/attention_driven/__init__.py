"""Attention Driven Person Re-identification (Yang et al., 2019), one file per part of the network."""

from passerby.models.attention_driven.model import AttentionDriven as AttentionDriven
