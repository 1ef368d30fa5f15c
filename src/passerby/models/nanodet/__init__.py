"""NanoDet, the detector that finds people in videos; its weights are in ``shipped``."""
