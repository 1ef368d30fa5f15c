"""What people say about the rows of a gallery on disk: which pairs are of one person, and which groups rows form."""
