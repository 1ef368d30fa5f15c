"""The pose network that is shipped with the package, trained on synthetic pedestrians on two processor cores."""

from __future__ import annotations

from passerby.training.pose.config import PoseConfig

NAME = "pose"
"""The name in ``passerby train``. It is not in the registry of recipes, whose settings are others."""


def pose() -> PoseConfig:
    r"""Return the settings of the pose network at 128×64: AdamW 2e-3, cosine schedule, 22 epochs in batches of 64.

    Commands::

        passerby data synthesize people --people 400 --cameras 30 --images 1 --size 160x80 --workers 2
        passerby train pose --data people --set data.all_splits=true \
            --test-data pedestrians:people=50,cameras=6,images=1,seed=1

    Cost: half an hour on one processor core that supports bfloat16.
    Expected: 96.3 / 98.5 (PCK at 5 % / 10 % of the image's height) on other synthetic people.
    """
    return PoseConfig(recipe=NAME)
