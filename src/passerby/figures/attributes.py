"""Attribute maps of AANet (003, Fig 6): the maps of identity and of each predicted attribute, and the AAM.

As in the paper the second column is the class activation map of the global identity head (GFN), for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from passerby.data.attributes.labels import Attributes
from passerby.data.attributes.schema import UNKNOWN as UNLABELED
from passerby.errors import ConfigError
from passerby.explain.attention.attributes import AttributeMaps, attribute_maps
from passerby.explain.images import ModelView
from passerby.explain.saliency.maps import class_activation_maps
from passerby.figures.layout import ImageCell, image_table, sample_caption
from passerby.figures.overlay import enlarge_with_heatmap
from passerby.figures.registry import figure
from passerby.figures.style import RIGHT, UNKNOWN, WRONG, Frame
from passerby.inference.attributes import GroupPrediction

_MARK = "◆"


@figure("attribute-maps", title="Attribute maps", needs="samples", attention="attributes", section="attention")
def attribute_figure(
    view: ModelView, truth: Attributes | None = None, *, title: str, step: int | None = None
) -> Figure:
    """Draw one row per image; below each map the predicted value, its probability, and whether it is right.

    Args:
        truth: the attribute labels, where they are known.
        step: the step of the maps, as in :func:`~passerby.explain.attention.attributes.attribute_maps`.

    Raises:
        ConfigError: if the model predicts no attributes, or others than ``truth`` has, or no map can have this step.
    """
    found = attribute_maps(view, step=step)
    if truth is not None and truth.schema != found.schema:
        raise ConfigError(f"{truth.place} is of {truth.schema.name}, the model of {found.schema.name}")
    names = [*found.attended, *(name for name in found.maps if name not in found.attended)]
    labels = None if truth is None else truth.of_all(view.samples)
    identities = class_activation_maps(view).cpu()
    rows = []
    for place, (sample, image) in enumerate(zip(view.samples, view.input_images, strict=True)):
        row_labels = None if labels is None else labels[place].tolist()
        row = [ImageCell(image, sample_caption(sample)), ImageCell(enlarge_with_heatmap(image, identities[place]))]
        if found.attention_map is not None:
            mask = found.attention_map[place]
            row.append(ImageCell(enlarge_with_heatmap(image, mask, smooth=False), [f"{mask.mean():.0%} on"]))
        rows.append(row + [_cell(view, found, name, place, row_labels) for name in names])
    heads = ["image", "identity", *(["AAM"] if found.attention_map is not None else [])]
    heads += [f"{name} {_MARK}" if name in found.attended else name for name in names]
    return image_table(rows, heads, title=title, foot=_foot(found, truth))


def _cell(view: ModelView, found: AttributeMaps, name: str, place: int, labels: Sequence[int] | None) -> ImageCell:
    prediction = found.predictions[place][name]
    frame = _frame(found, name, prediction, labels)
    caption = [prediction.value, f"{prediction.probability:.2f} {frame.symbol}".rstrip()]
    return ImageCell(enlarge_with_heatmap(view.input_images[place], found.maps[name][place]), caption, frame=frame)


def _frame(found: AttributeMaps, name: str, prediction: GroupPrediction, labels: Sequence[int] | None) -> Frame:
    label = UNLABELED if labels is None else labels[found.schema.index(name)]
    if label == UNLABELED:
        return UNKNOWN
    return RIGHT if found.schema[name].values[label] == prediction.value else WRONG


def _foot(found: AttributeMaps, truth: Attributes | None) -> str:
    about = "Identity: class activation map of the most probable training identity (global head). "
    about += f"The attribute attention map (AAM) is made of the maps marked {_MARK}. " if found.attended else ""
    judged = "" if truth is None else f"{RIGHT.symbol} right, {WRONG.symbol} wrong; gray: unlabeled. "
    height, width = next(iter(found.maps.values())).shape[1:]
    return (
        f"{about}Below a map: the predicted value and its probability. {judged}"
        f"Maps have {height}×{width} positions; each has its own scale, dark is least, bright is most."
    )
