"""``passerby figures …``: one command per figure, each a thin face of :mod:`passerby.figures`."""

from passerby.cli.registry import Panel, group

group("figures", help="Draw curves, ranked lists, saliency and attention maps.", panel=Panel.EVALUATE, order=2)
