from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from passerby.errors import ProtocolError
from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.figures.cameras import cameras_figure
from passerby.types import Embeddings, Protocol


def crowd(seed: int, cameras: int) -> Embeddings:
    draw = torch.Generator().manual_seed(seed)
    pids, camids = torch.randint(5, (60,), generator=draw), torch.randint(cameras, (60,), generator=draw)
    features = torch.randn(60, 4, generator=draw) + torch.eye(5)[pids, :4]
    return Embeddings(features, tuple(map(str, range(60))), pids, camids)


@pytest.mark.parametrize("cameras", [2, 5])
def test_every_number_is_written_and_no_text_lies_on_another(cameras: int, legible: Callable[[Figure], None]) -> None:
    run = EvaluatedEmbeddings("ours", crowd(1, cameras), crowd(2, cameras), Protocol())
    figure = cameras_figure(run, title="a set of images with some cameras: its name is long, and so is the title")
    legible(figure)
    first, before = figure.axes[2:]
    cells = [f"{100 * share:.1f}" for share in run.confusion.first_wrong.flatten().tolist()]
    assert [text.get_text().split("\n")[0] for text in first.texts[: len(cells)]] == cells
    assert [text.get_text() for text in first.texts[len(cells) :]] == [
        f"{100 * share:.1f}" for share in run.confusion.gallery.tolist()
    ]
    assert len(before.texts) == len(cells)
    for axes in figure.axes[:2]:
        texts = [text.get_text() for text in axes.texts]
        assert len(texts) - texts.count("–") == len(run.camera_pairs)


def test_bright_is_good_in_every_matrix() -> None:
    run = EvaluatedEmbeddings("ours", crowd(1, 4), crowd(2, 4), Protocol())
    figure = cameras_figure(run, title="t")
    for axes, sign in zip(figure.axes, (1, 1, -1, -1), strict=True):
        shown = [
            (sign * float(text.get_text().split("\n")[0]), to_rgb(patch.get_facecolor()))
            for text, patch in zip(axes.texts, axes.patches, strict=True)
            if "n " in text.get_text()
        ]
        assert sum(max(shown)[1]) > 1.7 > 0.5 > sum(min(shown)[1])
    empty = [
        patch
        for text, patch in zip(figure.axes[0].texts, figure.axes[0].patches, strict=True)
        if text.get_text() == "–"
    ]
    assert {to_rgb(patch.get_facecolor()) for patch in empty} == {(1.0, 1.0, 1.0)}  # no color of the scale


def test_unknown_cameras_are_an_error() -> None:
    some = crowd(1, 2)
    nameless = Embeddings(some.embedding, some.paths, some.pids)
    with pytest.raises(ProtocolError, match="cameras"):
        cameras_figure(EvaluatedEmbeddings("ours", nameless, nameless, Protocol(ignore_same_camera=False)), title="t")
