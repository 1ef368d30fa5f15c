"""Settings of a run as they are typed: ``--set KEY=VALUE``, and where its data are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from passerby.errors import ConfigError

if TYPE_CHECKING:
    from passerby.training.config import TrainConfig
    from passerby.training.pose_config import PoseConfig

    Config = TypeVar("Config", TrainConfig, PoseConfig)


def configured(
    config: Config, data: str | None, test_data: str | None, settings: Sequence[str], *, wanted: str
) -> Config:
    """``config`` with these changes.

    Raises:
        ConfigError: if nothing says what to train on; the message asks for ``wanted``.
    """
    from passerby.config import parse_override, with_overrides

    config = with_overrides(config, dict(parse_override(s) for s in settings))
    places = {"data.train": data or config.data.train, "data.test": test_data or config.data.test}
    if not places["data.train"]:
        raise ConfigError(f"training needs --data: {wanted}")
    return with_overrides(config, places)
