"""The parts of the explanation of a match: alignment, parts, attributes, and a sentence."""
