"""The recipes and tables of the papers, one paper a file."""
