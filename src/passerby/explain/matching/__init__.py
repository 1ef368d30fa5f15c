"""Why two images match, or do not."""
