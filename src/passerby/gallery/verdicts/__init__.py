"""Whether a calibration holds for the images of a gallery, told by distances of its own pairs; and its own."""
