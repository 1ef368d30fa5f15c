"""Load checkpoints into models: read, match, report."""
