"""The people of a synthetic data set: who they are, what they wear and how they walk."""
