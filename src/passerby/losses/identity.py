"""Identity loss: cross-entropy over the training people, with label smoothing (Szegedy et al., 2016)."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def identity_loss(
    logits: Float[Tensor, "b n"], labels: Int[Tensor, " b"], *, smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """−Σ_c q_c log softmax(logits)_c, mean over the batch; q = (1−ε)·one-hot + ε/n."""
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)
