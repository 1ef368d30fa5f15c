"""People in videos: frames, detections, tracklets, and the crops of a video as a source of images."""
