"""The pose network that is shipped with the package: trained on people who do not exist, on two processor cores."""

from __future__ import annotations

from passerby.training.pose_config import PoseConfig

NAME = "pose"
"""What ``passerby train`` calls it. It is no entry of the recipes of re-identification: it has other settings."""


def pose() -> PoseConfig:
    r"""The pose network at 128×64: AdamW 2e-3, cosine, 22 epochs in batches of 64.

    Commands::

        passerby data synthesize people --people 400 --cameras 30 --images 1 --size 160x80 --workers 2
        passerby train pose --data people --set data.all_splits=true \
            --test-data pedestrians:people=50,cameras=6,images=1,seed=1

    Cost: half an hour on one processor core that knows bfloat16.
    """
    return PoseConfig(recipe=NAME)
