"""Checkpoints of other toolkits: which architecture they are of, told by names and shapes alone."""
