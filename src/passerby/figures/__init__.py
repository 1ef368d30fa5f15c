"""Every figure that passerby draws, one file each."""
