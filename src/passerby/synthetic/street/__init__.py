"""The place that a camera looks at."""
