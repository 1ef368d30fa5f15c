"""``passerby gallery …``: the commands of galleries on disk."""

from passerby.cli.registry import Panel, group

group("gallery", help="Keep a gallery on disk: add, search, delete, verify.", panel=Panel.SEARCH, order=2)
