"""Pose: the 18 joints of OpenPose in a person's picture, by a small network of our own or by one that a user brings."""
