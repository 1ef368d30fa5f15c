"""Attention Driven Person Re-identification (Yang et al., 2019), in a file for each part of the network."""

from passerby.models.attention_driven.model import AttentionDriven as AttentionDriven
