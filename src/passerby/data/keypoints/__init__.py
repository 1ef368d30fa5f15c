"""Body keypoints: skeletons, files, regions and part crops."""
