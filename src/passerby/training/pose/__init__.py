"""The training of the pose network, and its settings."""
