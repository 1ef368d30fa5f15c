"""Fig 6 of AANet (003): a picture, where identity and each predicted attribute is seen, and the map made of these.

As in the paper the second column is the class activation map of the global identity head (GFN), to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from passerby.data.attributes.labels import Attributes
from passerby.data.attributes.schema import UNKNOWN as NOBODY_KNOWS
from passerby.errors import ConfigError
from passerby.explain.attention.attributes import AttributeMaps, attribute_maps
from passerby.explain.images import ModelView
from passerby.explain.saliency.maps import class_activation_maps
from passerby.figures.layout import ImageCell, heatmap_cell, image_table, sample_caption
from passerby.figures.style import RIGHT, UNKNOWN, WRONG, Frame
from passerby.inference.attributes import GroupPrediction

_MARK = "◆"


def attribute_figure(
    seen: ModelView, truth: Attributes | None = None, *, title: str, step: int | None = None
) -> Figure:
    """A row a picture; below each map the predicted value, its probability, and whether it is right.

    Args:
        truth: what people wear, where somebody knows.
        step: of the attributes' maps, as :func:`~passerby.explain.attention.attributes.attribute_maps` has it.

    Raises:
        ConfigError: if the model predicts no attributes, or others than ``truth`` has, or no map of such a step can be.
    """
    found = attribute_maps(seen, step=step)
    if truth is not None and truth.schema != found.schema:
        raise ConfigError(f"{truth.place} is of {truth.schema.name}, the model of {found.schema.name}")
    names = [*found.attended, *(name for name in found.maps if name not in found.attended)]
    known = None if truth is None else truth.of_all(seen.samples)
    identities = class_activation_maps(seen).cpu()
    rows = []
    for place, (sample, image) in enumerate(zip(seen.samples, seen.input_images, strict=True)):
        worn = None if known is None else known[place].tolist()
        row = [ImageCell(image, sample_caption(sample)), ImageCell(heatmap_cell(image, identities[place]))]
        if found.attention_map is not None:
            chosen = found.attention_map[place]
            row.append(ImageCell(heatmap_cell(image, chosen, smooth=False), [f"{chosen.mean():.0%} on"]))
        rows.append(row + [_cell(seen, found, name, place, worn) for name in names])
    heads = ["picture", "identity", *(["AAM"] if found.attention_map is not None else [])]
    heads += [f"{name} {_MARK}" if name in found.attended else name for name in names]
    return image_table(rows, heads, title=title, foot=_foot(found, truth))


def _cell(seen: ModelView, found: AttributeMaps, name: str, place: int, worn: Sequence[int] | None) -> ImageCell:
    said = found.predictions[place][name]
    frame = _judged(found, name, said, worn)
    caption = [said.value, f"{said.probability:.2f} {frame.symbol}".rstrip()]
    return ImageCell(heatmap_cell(seen.input_images[place], found.maps[name][place]), caption, frame=frame)


def _judged(found: AttributeMaps, name: str, said: GroupPrediction, worn: Sequence[int] | None) -> Frame:
    true = NOBODY_KNOWS if worn is None else worn[found.schema.index(name)]
    if true == NOBODY_KNOWS:
        return UNKNOWN
    return RIGHT if found.schema[name].values[true] == said.value else WRONG


def _foot(found: AttributeMaps, truth: Attributes | None) -> str:
    made = "Identity: of the training person whom the global head deems the likeliest. "
    made += f"The attribute attention map (AAM) is made of the maps marked {_MARK}. " if found.attended else ""
    judged = "" if truth is None else f"{RIGHT.symbol} right, {WRONG.symbol} wrong; gray: nobody knows. "
    height, width = next(iter(found.maps.values())).shape[1:]
    return (
        f"{made}Below a map the predicted value and its probability. {judged}"
        f"Maps have {height}×{width} positions, each is scaled by itself, dark least, bright most."
    )
