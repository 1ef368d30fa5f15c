"""Saliency maps and how they are measured, as values."""
