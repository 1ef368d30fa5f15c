"""What names of files tell of images that no dataset labels: the camera, the moment, the person, the frame."""
