"""What a gallery on disk is asked beside one image: several images, rows, other distances, one hit per person."""
