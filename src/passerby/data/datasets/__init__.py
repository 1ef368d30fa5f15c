"""One file a dataset layout; each registers its reader, so a new layout is one new file."""
