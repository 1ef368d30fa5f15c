"""The saliency maps and measures of their quality, as values."""
