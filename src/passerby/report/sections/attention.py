"""What a model looks at: saliency, and the attention that it has, over some pictures of the queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from matplotlib.figure import Figure

from passerby.errors import PasserbyError
from passerby.explain.attention.capture import AttentionKind, attention_kinds
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.figures.attention import intra_attention_figure, position_attention_figure, self_attention_figure
from passerby.figures.attributes import attribute_figure
from passerby.figures.channel_attention import channel_attention_figure
from passerby.figures.inter_attention import inter_attention_figure
from passerby.report.components import Content, Html, element, paragraph
from passerby.report.figure import drawn
from passerby.report.inputs.evaluated_run import Tested
from passerby.report.inputs.run import Run, Section, tested
from passerby.report.sections.saliency import saliency

_PICTURES = 4
_FIGURES: dict[AttentionKind, tuple[Callable[..., Figure], str]] = {
    "attributes": (attribute_figure, "where each predicted attribute is seen (AANet, Fig 6)"),
    "intra": (intra_attention_figure, "masks of intra-attention, block by block (Attention Driven, Fig 7)"),
    "self": (self_attention_figure, "where self-attention looks from chosen positions (Dual Attention, Eq 2)"),
    "inter": (inter_attention_figure, "how much each part of the body counts (Attention Driven, Eq 8)"),
    "channels": (
        channel_attention_figure,
        "how much each channel counts, block by block (AaP-ReID, Eq 2–3; Dual Attention, SE)",
    ),
    "positions": (position_attention_figure, "how much each position weighs, block by block"),
}


def looks(runs: Sequence[Run]) -> Section:
    groups: dict[str, list[tuple[Run, Tested]]] = {}
    for run, found in tested(runs):
        groups.setdefault(found.spec, []).append((run, found))
    content: list[Content] = [each for members in groups.values() for each in saliency(members)]
    for run, found in tested(runs):
        assert run.album is not None
        content += [element("h3", f"Where {run.label} looks"), *_of(run, found, run.album)]
    return Section("looks", "What the model looks at", tuple(content))


def _of(run: Run, found: Tested, album: ImageSet) -> Iterable[Content]:
    query = found.dataset.split("query")
    rows = torch.linspace(0, len(query) - 1, min(_PICTURES, len(query))).long().tolist()
    try:
        seen = view_samples(found.model, album, [query[row] for row in rows])
    except PasserbyError as error:
        yield paragraph(f"No maps: {error}")
        return
    known = attention_kinds(found.model.network)
    for kind in known:
        yield _shown(run, found, seen, kind)
    if not known:
        yield paragraph("The model has no attention of its own to show.")


def _shown(run: Run, found: Tested, seen: ModelView, kind: AttentionKind) -> Html:
    draw, what = _FIGURES[kind]
    try:
        known = {"truth": found.attributes} if kind == "attributes" else {}
        figure = draw(seen, title=f"{run.label} on {found.spec}: {what}", **known)
    except PasserbyError as error:
        return paragraph(f"Not shown, {what}: {error}")
    who = ", ".join(str(sample.pid) for sample in seen.samples)
    return drawn(
        figure,
        alt=f"{_capital(what)}, over pictures of people {who}.",
        caption=f"{_capital(what)}.",
    )


def _capital(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"
