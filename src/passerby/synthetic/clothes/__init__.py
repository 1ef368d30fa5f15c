"""What people wear: colors, fashions, patterns and prints."""
