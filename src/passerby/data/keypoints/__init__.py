"""The keypoints of bodies: skeleton, files, cache, regions and part crops."""
