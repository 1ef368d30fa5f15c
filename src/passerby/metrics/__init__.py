"""The metrics: pure functions of distances, rankings and labels, and calibration."""
