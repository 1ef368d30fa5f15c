"""Images: opening, decoding, augmenting, blurring faces."""
