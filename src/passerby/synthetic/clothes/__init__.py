"""What people wear: colours, fashions, patterns and prints."""
