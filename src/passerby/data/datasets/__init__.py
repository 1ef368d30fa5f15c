"""Dataset layouts, one file each: a file registers its reader, so a new layout is one new file."""
