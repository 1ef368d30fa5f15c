"""The people who look alike to a network, for batches of the hardest (:class:`~passerby.data.sampler.GraphSampler`)."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from passerby.data.loader import TrainLoader
from passerby.data.sampler import GraphSampler
from passerby.inference.session import evaluation_mode, network_inputs

_AT_ONCE = 64


def set_neighbors(sampler: GraphSampler, loader: TrainLoader, network: nn.Module, accelerator: Accelerator) -> None:
    """Find the neighbors of each person by one random image each; process 0 finds those of all processes."""
    with evaluation_mode(network):
        near = nearest(_embedded(sampler.one_each(), loader, network, accelerator.device), sampler.p - 1)
    sampler.neighbors = broadcast(near).cpu() if accelerator.num_processes > 1 else near.cpu()


def nearest(embeddings: Float[Tensor, "n d"], k: int) -> Int64[Tensor, "n k"]:
    """Return the ``k`` rows most similar (cosine) to each row, without itself."""
    similar = F.normalize(embeddings) @ F.normalize(embeddings).T
    return similar.fill_diagonal_(-torch.inf).topk(k, dim=1).indices


@torch.no_grad()
def _embedded(rows: list[int], loader: TrainLoader, network: nn.Module, to: torch.device) -> Tensor:
    batches = loader.unchanged([rows[first : first + _AT_ONCE] for first in range(0, len(rows), _AT_ONCE)])
    inputs = (network_inputs(*batch, to, loader.augmentation.normalization) for batch in batches)
    return torch.cat([network(*each).embedding for each in inputs])
