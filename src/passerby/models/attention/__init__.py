"""The attention mechanisms, one file each. A factory takes a block's number of channels and builds one module."""

from passerby.models.attention.registry import AttentionFactory as AttentionFactory
from passerby.models.attention.registry import attention_factory as attention_factory
