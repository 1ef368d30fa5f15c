"""CUHK03 as files: what pictures are called, the ``.mat`` that holds them, and who is in which split."""
