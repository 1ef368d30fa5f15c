"""The figure of a person: a skeleton, its surfaces and their colors."""
