"""Ranking of a gallery for queries: distances, true matches, re-ranking, expansion, ranks."""
