"""When an adaptation ends, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from passerby.training.adapt.config import AdaptConfig
from passerby.training.adapt.rounds import START, STATISTICS, AdaptResult, Round


def reason_to_stop(rounds: Sequence[Round], config: AdaptConfig) -> str | None:
    """Return why the newest state is the last, as a sentence; ``None`` if another round is worth it."""
    now = rounds[-1]
    if why := unusable(now, config):
        return why
    if now.name in (START, STATISTICS):
        return None
    if now.agreement is not None and now.agreement >= config.same:
        return f"The clusters no longer change (agreement {now.agreement:.3f} of the last two rounds)."
    if len(rounds) - 1 - rounds.index(best_of(rounds, config)) >= config.patience:
        return f"No better quality in {config.patience} rounds."
    return None


def unusable(now: Round, config: AdaptConfig) -> str | None:
    """Return why a state's clusters teach nothing; ``None`` if they do."""
    eps, clustered = config.clusters.eps, now.images - now.outliers
    if now.clusters == 0:
        return (
            f"No clusters were found: no {config.clusters.min_samples} crops are alike within clusters.eps={eps:g}. "
            f"Fix: add more crops of each person, or --set clusters.eps={min(0.9, eps + 0.1):.1f}"
        )
    if now.largest > clustered // 2 and now.clusters < 2 * config.batch.p:
        return (
            f"{now.largest:,} of {clustered:,} clustered crops are in one cluster: they show one person, or people are "
            f"not told apart. Fix: add crops of other people, or --set clusters.eps={max(0.1, eps - 0.1):.1f}"
        )
    if now.clusters < config.batch.p:
        return (
            f"{now.clusters} clusters were found, expected at least batch.p={config.batch.p}: so few people teach no "
            "difference that holds for others. Fix: add crops of other people"
        )
    return None


def best_of(rounds: Sequence[Round], config: AdaptConfig) -> Round:
    """Return the state with the highest quality among those that may be kept, the earliest of equal ones.

    States whose clusters teach nothing are not kept, except by ``quick``: statistics of one person are no gain.
    """
    kept = [state for state in rounds[1:] if config.quick or unusable(state, config) is None]
    return max([rounds[0], *kept], key=lambda state: state.quality)


def summary(rounds: Sequence[Round], config: AdaptConfig, reason: str | None) -> AdaptResult:
    """Return what became of the run, of its states in order."""
    start, best = rounds[0], best_of(rounds, config)
    adapted = best.name != START
    if reason is None:
        reason = "Only statistics were re-estimated." if config.quick else f"All {config.rounds} rounds are done."
    return AdaptResult(adapted, best.name, reason, {"start": start.quality, "kept": best.quality}, tuple(rounds))
