"""Training: data, optimizer, schedule, checkpoints and the engine that runs them."""
