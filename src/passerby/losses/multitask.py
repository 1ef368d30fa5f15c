"""The loss of AANet (Tay, Roy, Yap, CVPR 2019, §3.4): tasks weighted by their learned uncertainty.

After Kendall, Gal, Cipolla (Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR 2018).

- Eq 2, L = Σ λ_t L_t: :class:`MultitaskLoss` with ``uncertainty=False``, all λ being 1;
- Eq 3–4, log p(y = c) = log softmax(f/σ²)_c: :func:`log_likelihood`, which training does not need;
- Eq 5–6, L = Σ L_t/σ_t² + log σ_t: :class:`UncertaintyWeights`, :class:`MultitaskLoss`.

Eq 5 takes −log p of Eq 4 to be L/σ² + log σ, which is exact at σ = 1. A task's σ² settles at 2 L_t, where the
derivative −2L/σ³ + 1/σ is 0. Where L_t becomes small, log σ_t and with it the whole loss fall below 0.

*Deviations*: the learned parameter is the log-variance log σ². A task's weight 1/σ² is at most ``max_weight``: without
a bound it grows as 1/(2 L_t), so that the steps of a task never become smaller although its loss does, until one of
them is too large. On heads over frozen features, with the recipe's optimizer, losses grew to 10⁸ in 200 steps (with a
hundredth of the learning rate, to 3 in 1200); with weights of at most 5 they stayed below 0.03. The parts' losses enter
as their mean, the attribute groups' likewise: the paper prints neither sum nor mean. An unlabeled attribute (−1) does
not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from passerby.errors import ConfigError, UnknownNameError
from passerby.losses.attributes import attribute_columns, mean_cross_entropy
from passerby.losses.base import BaseLossConfig, LossParts
from passerby.losses.registry import register
from passerby.types import Batch, ModelOutput

Task = Literal["global", "parts", "attributes", "attention"]
TASKS: tuple[Task, ...] = get_args(Task)
"""The tasks of L_g, L_p, L_a and L_aa."""
MAX_WEIGHT = 5.0
"""The greatest learned weight of a task."""


def log_likelihood(
    f: Float[Tensor, "b n"], labels: Int[Tensor, " b"], sigma: float | Float[Tensor, ""]
) -> Float[Tensor, " b"]:
    """Return log softmax(f/σ²) at the label (Eq 3–4). The greater σ, the more even the distribution."""
    return torch.log_softmax(f / sigma**2, dim=1).gather(1, labels[:, None]).squeeze(1)


class UncertaintyWeights(nn.Module):
    """The learned log-variances log σ², one per task; σ = 1 at the start.

    Args:
        max_weight: the greatest weight 1/σ², to which a step that went beyond it is taken back; ``None``: no bound.
    """

    def __init__(self, tasks: int, *, max_weight: float | None = None) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(tasks))
        self.least = None if max_weight is None else -math.log(max_weight)

    def forward(self, losses: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
        """Return L_t/σ_t² + log σ_t of each task (Eq 5); their sum is Eq 6."""
        if self.least is not None:
            with torch.no_grad():
                self.log_variance.clamp_(min=self.least)
        return losses * torch.exp(-self.log_variance) + self.log_variance / 2


class MultitaskLossConfig(BaseLossConfig):
    """The settings of :class:`MultitaskLoss`."""

    name: Literal["multitask"] = "multitask"
    tasks: tuple[Task, ...] = TASKS
    uncertainty: bool = True
    max_weight: float | None = Field(MAX_WEIGHT, ge=1)
    """The greatest learned weight 1/σ² of a task; ``None``: no bound."""

    @property
    def needs_attributes(self) -> bool:
        """A flag, true if attributes are among the tasks."""
        return "attributes" in self.tasks


@register(MultitaskLossConfig)
class MultitaskLoss(nn.Module):
    """The sum of the losses of identity (global head, parts, attention map) and of attributes.

    Args:
        tasks: those of ``global``, ``parts``, ``attributes``, ``attention`` to train: the rows of AANet's Table 3.
        uncertainty: learn the weights (Eq 6), or sum with weights 1 (Eq 2). The learned weights are this module's
            parameters: give them to the optimizer, without weight decay.
        max_weight: the greatest learned weight 1/σ² of a task; ``None``: no bound, as in earlier versions.
    """

    def __init__(
        self, *, tasks: Sequence[Task] = TASKS, uncertainty: bool = True, max_weight: float | None = MAX_WEIGHT
    ) -> None:
        super().__init__()
        for task in tasks:
            if task not in TASKS:
                raise UnknownNameError("task", task, TASKS)
        if not tasks:
            raise ConfigError(f"a loss needs at least one task of {', '.join(TASKS)}")
        self.tasks = tuple(task for task in TASKS if task in tasks)
        self.weights = UncertaintyWeights(len(self.tasks), max_weight=max_weight) if uncertainty else None

    def forward(self, output: ModelOutput, batch: Batch) -> LossParts:
        """Return the loss of one batch.

        Raises:
            ConfigError: if the model has no scores for a task, or the batch no attributes.
            ShapeError: if the attributes of the batch do not fit the model's.
        """
        losses = torch.stack([self._task_loss(task, output, batch) for task in self.tasks])
        if self.weights is not None:
            losses = self.weights(losses)
        return LossParts(losses.sum(), dict(zip(self.tasks, losses.unbind(), strict=True)))

    def _task_loss(self, task: Task, output: ModelOutput, batch: Batch) -> Tensor:
        if task == "attributes":
            scores = _required(output.attributes, task)
            return mean_cross_entropy(scores, attribute_columns(batch.attributes, len(scores)))
        if task == "global":
            scores = _required(None if output.logits is None else (output.logits,), task)
        else:
            scores = _required((output.branches or {}).get(task), task)
        return mean_cross_entropy(scores, [batch.labels] * len(scores))


def _required(scores: tuple[Tensor, ...] | None, task: str) -> tuple[Tensor, ...]:
    if not scores:
        raise ConfigError(
            f"the {task} task needs a model that gives scores for it. Fix: leave {task!r} out of the tasks of the loss"
        )
    return scores
