"""The ways of images into a gallery on disk: places, lists, and whatever else can hold images of people."""
