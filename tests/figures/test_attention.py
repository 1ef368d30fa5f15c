"""Attention figures: their texts and values, and nothing is cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from passerby.data.attributes.labels import Attributes, read_attributes
from passerby.data.dataset import Dataset
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError
from passerby.explain.attention.attributes import attribute_maps
from passerby.explain.attention.capture import position_weights, self_attention
from passerby.explain.attention.parts import inter_attention, intra_attention
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.figures.attributes import attribute_figure
from passerby.figures.channel_attention import channel_attention_figure
from passerby.figures.inter_attention import inter_attention_figure
from passerby.figures.intra_attention import intra_attention_figure
from passerby.figures.overlay import enlarge_with_heatmap
from passerby.figures.position_attention import position_attention_figure
from passerby.figures.self_attention import self_attention_figure
from passerby.inference.model import Model
from passerby.models.registry import create_model


@pytest.fixture(scope="module")
def people(draw_people: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_dataset(f"market1501:{draw_people(tmp_path_factory.mktemp('attention') / 'people', people=2)}")


@pytest.fixture(scope="module")
def see(people: Dataset) -> Callable[..., ModelView]:
    def view(name: str, n: int = 2, **options: Any) -> ModelView:
        torch.manual_seed(0)
        small = {"width": 0.125} if name == "attention_driven" else {"backbone": "resnet18_half"}
        model = create_model(name, num_classes=2, **small, **options)
        return view_samples(Model(model, (64, 32)), ImageSet(people.source), people.query[:n])

    return view


def words(figure: Figure) -> list[str]:
    """Return all texts; none may reach out of the figure."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    found, whole = [], figure.bbox
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_text() and text.get_visible():
            box = text.get_window_extent()
            assert box.x0 >= -1, text.get_text()
            assert box.y0 >= -1, text.get_text()
            assert box.x1 <= whole.x1 + 1, text.get_text()
            assert box.y1 <= whole.y1 + 1, text.get_text()
            found.append(" ".join(text.get_text().split()))
    return found


def test_rows_of_self_attention_are_numbered_and_have_their_range(see: Callable[..., ModelView]) -> None:
    view = see("dual_attention")
    found = words(self_attention_figure(view, positions=[(0, 0), (1, 0)], title="Self-attention of a test"))
    assert {"Self-attention of a test", "1: row 0, column 0", "2: row 1, column 0"} <= set(found)
    rows = self_attention(view, [(0, 0), (1, 0)]).rows
    assert float(rows[1, 1].max() - rows[1, 1].min()) < 0.01
    assert "0.50 all over" in found
    assert any("uniform attention is 0.500" in text for text in found)


def test_position_weights_have_their_range(see: Callable[..., ModelView]) -> None:
    view = see("aap_reid", attention="sp", attention_stages=(4,))
    found, weights = words(position_attention_figure(view, title="t")), position_weights(view)[1].weights[1]
    assert "SP, layer 4, block 2" in found
    assert float(weights.max() - weights.min()) < 0.01  # of an untrained one
    assert f"{weights.mean():.2f} all over" in found


def test_intra_attention_names_its_blocks_and_parts(see: Callable[..., ModelView]) -> None:
    view = see("attention_driven")
    found, gains = words(intra_attention_figure(view, title="t")), intra_attention(view).whole[2][0]
    assert f"{gains.min():.2f}–{gains.max():.2f}" in found
    assert {"whole body, block 2", "parts, block 4", "part crops", "lower leg"} <= set(found)
    whole_only = words(
        intra_attention_figure(see("attention_driven", branches=("global",), fusion="concat"), title="t")
    )
    assert "part crops" not in whole_only


def test_bars_of_parts_have_their_numbers(see: Callable[..., ModelView]) -> None:
    view = see("attention_driven")
    found, weights = words(inter_attention_figure(view, title="t")), inter_attention(view).weights
    for value in (*weights.flatten().tolist(), *weights.double().mean(dim=0).tolist()):
        assert f"{value:.2f}" in found
    assert "mean of 2 images" in found
    assert found.count("upper leg") == 3


def test_channels_of_every_block(see: Callable[..., ModelView]) -> None:
    found = words(channel_attention_figure(see("dual_attention"), title="t"))
    assert {f"layer {n}, block {i}, {32 * 2 ** (n - 1)} channels" for n in (1, 2, 3, 4) for i in (1, 2)} <= set(found)
    alone = words(channel_attention_figure(see("aap_reid", 1, attention_stages=(4,)), title="t"))
    assert any("CWA(x) of 1 images" in text for text in alone)


def test_attributes_are_marked_right_or_wrong(see: Callable[..., ModelView], people: Dataset) -> None:
    view, truth = see("aanet"), read_attributes(people.source)
    figure, predictions = attribute_figure(view, truth, title="t"), attribute_maps(view).predictions
    right = sum(
        truth.schema[name].values[truth.of_all([sample])[0][truth.schema.index(name)]] == predicted.value
        for sample, each in zip(view.samples, predictions, strict=True)
        for name, predicted in each.items()
    )
    found = words(figure)
    assert sum(text.endswith("✓") for text in found) == right
    assert sum(text.endswith("✗") for text in found) == 24 - right
    assert {"identity", "AAM", "upper color ◆"} <= set(found)
    assert "hat" in found


def test_unlabeled_attributes_are_not_judged(see: Callable[..., ModelView]) -> None:
    view = see("aanet")
    assert not any("✓" in text or "✗" in text for text in words(attribute_figure(view, title="t")))
    unlabeled = Attributes(attribute_maps(view).schema, "elsewhere", {}, {view.samples[0].path: np.full(12, -1)})
    assert not any(text.endswith(("✓", "✗")) for text in words(attribute_figure(view, unlabeled, title="t")))


def test_attributes_of_another_schema_are_an_error(see: Callable[..., ModelView], people: Dataset) -> None:
    with pytest.raises(ConfigError, match="is of Market-1501, the model of DukeMTMC-reID"):
        attribute_figure(see("aanet", schema="dukemtmc"), read_attributes(people.source), title="t")


def test_a_binary_map_has_two_colors() -> None:
    gray, values = Image.new("RGB", (8, 16), (90, 90, 90)), torch.tensor([[0.0, 1], [1, 0], [0, 0], [1, 1]])
    assert len(enlarge_with_heatmap(gray, values, smooth=False).getcolors() or ()) == 2
    assert len(enlarge_with_heatmap(gray, values).getcolors(10**6) or ()) > 50


def test_the_attribute_attention_map_is_drawn_unchanged(
    see: Callable[..., ModelView], monkeypatch: pytest.MonkeyPatch
) -> None:
    view, checked = see("aanet"), torch.tensor([[0.0, 1], [1, 0], [0, 0], [1, 1]])
    found = replace(attribute_maps(view), attention_map=torch.stack([checked] * 2))
    monkeypatch.setattr("passerby.figures.attributes.attribute_maps", lambda *_, **__: found)
    drawn = np.asarray(attribute_figure(view, title="t").axes[2].images[0].get_array())
    assert np.array_equal(drawn, np.asarray(enlarge_with_heatmap(view.input_images[0], checked, smooth=False)))


def test_where_a_map_is_nan_the_image_stays_gray() -> None:
    values = torch.full((4, 2), torch.nan)
    values[2:] = torch.tensor([[0.0, 1], [0, 1]])
    pixels = np.asarray(enlarge_with_heatmap(Image.new("RGB", (8, 16), (200, 30, 30)), values), int)
    colored = np.ptp(pixels, axis=2).max(axis=1) > 10
    assert not colored[: len(pixels) // 2 - 1].any()
    assert colored[len(pixels) // 2 + 1 :].all()
