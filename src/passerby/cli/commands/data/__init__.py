"""``passerby data …``: the commands that check, generate and show datasets."""

from passerby.cli.registry import Panel, group

group("data", help="Check, generate and show datasets.", panel=Panel.DATA)
