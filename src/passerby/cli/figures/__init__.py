"""``passerby figures …``: one command per figure; those without a file here are made from the figure's registration."""

from passerby.cli.generated_figures import GROUP, FigureGroup
from passerby.cli.registry import Panel, group

group(
    GROUP,
    help="Draw curves, ranked lists, saliency and attention maps.",
    panel=Panel.EVALUATE,
    order=2,
    cls=FigureGroup,
)
