"""The clothes: their colors, fashions, patterns and prints."""
