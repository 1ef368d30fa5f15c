"""The files of CUHK03: names of images, the ``.mat`` that holds them, and who is in which split."""
