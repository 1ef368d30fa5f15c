"""The estimation of OpenPose's 18 keypoints of a person, by passerby's small network or by a user's own."""
