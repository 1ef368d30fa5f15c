"""Open, decode and augment images; blur faces."""
