"""The contract of every registered model, with its classifiers and as an embedding-only model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from passerby.errors import ConfigError, PasserbyError, UnknownNameError
from passerby.models.base import ReidModel
from passerby.models.registry import MODELS, create_model, list_models, model_card
from passerby.types import ModelOutput
from passerby.weights.load import load_weights

CLASSES = 5
SIZE = (64, 32)
LIGHTEST: dict[str, dict[str, object]] = {
    "aanet": {"backbone": "resnet18_half"},
    "aap_reid": {"backbone": "resnet18_half"},
    "aligned_reid": {"backbone": "resnet18_half"},
    "attention_driven": {"width": 0.25},
    "dual_attention": {"backbone": "resnet18_half"},
    "ide": {"backbone": "resnet18_half"},
    "strong_baseline": {"backbone": "resnet18_half"},
    "clip_vit_b16": {"size": SIZE, "width": 24, "heads": 3, "depth": 2, "projection": 16},
    "vit_b16": {"size": SIZE, "width": 24, "heads": 3, "depth": 2},
}


def small(name: str, *, num_classes: int | None = CLASSES, seed: int = 0) -> ReidModel:
    """Return the smallest form of a model, with weights of a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return create_model(name, num_classes=num_classes, **LIGHTEST.get(name, {}))


def inputs(model: ReidModel, rows: slice = slice(None)) -> tuple[Tensor, ...]:
    """Return the inputs that the model's card names, of four images or some of them."""
    generator = torch.Generator().manual_seed(1)
    all_inputs = {
        "images": torch.randn(4, 3, *SIZE, generator=generator),
        "parts": torch.randn(4, 4, 3, SIZE[0] // 4, SIZE[1], generator=generator),
    }
    return tuple(all_inputs[name][rows] for name in model.card.inputs)


@pytest.fixture(params=list(MODELS), scope="module")
def model(request: pytest.FixtureRequest) -> ReidModel:
    """A model that all its tests share: its weights are any."""
    return small(request.param)


@pytest.fixture(params=list(MODELS), scope="module")
def embedder(request: pytest.FixtureRequest) -> ReidModel:
    return small(request.param, num_classes=None)


def test_the_card_tells_the_truth(model: ReidModel) -> None:
    card = model.card
    assert model_card(card.name) is card
    assert re.search(r"(19|20)\d\d", card.paper)
    output = model.eval()(*inputs(model))
    assert output.embedding.shape == (4, model.embedding_size)
    assert (output.local is not None) == ("local" in card.distances)


@pytest.mark.parametrize("training", [True, False])
def test_one_output_type_in_training_and_evaluation(model: ReidModel, training: bool) -> None:
    output = model.train(training)(*inputs(model))
    assert type(output) is ModelOutput
    assert output.metric.shape == output.embedding.shape
    assert output.logits is not None
    assert output.logits.shape == (4, CLASSES)
    present = [field is not None for field in output]
    assert present == [field is not None for field in model.train(not training)(*inputs(model))]
    if output.local is not None:
        assert torch.allclose(output.local.norm(dim=2), torch.ones(output.local.shape[:2]), atol=1e-5)


def test_every_trained_parameter_gets_a_gradient(model: ReidModel) -> None:
    model.zero_grad()
    output = model.train()(*inputs(model))
    total = output.embedding.square().sum() + output.metric.square().sum() + output.logits.square().sum()
    if output.local is not None:
        weights = torch.randn(output.local.shape, generator=torch.Generator().manual_seed(2))
        total = total + (output.local * weights).sum()
    for scores in [*(output.branches or {}).values(), output.attributes or ()]:
        total = total + sum(score.square().sum() for score in scores)
    total.backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_an_embedding_only_model_has_no_identity_scores(embedder: ReidModel) -> None:
    for training in (True, False):
        output = embedder.train(training)(*inputs(embedder))
        assert type(output) is ModelOutput
        assert output.embedding.shape == output.metric.shape == (4, embedder.embedding_size)
        assert (output.logits, output.branches) == (None, None)
    with torch.device("meta"):
        full = create_model(embedder.card.name, num_classes=CLASSES, **LIGHTEST.get(embedder.card.name, {}))
    assert full.identities in full.state_dict()
    assert full.identities not in embedder.state_dict()
    assert embedder.parameter_count() < full.parameter_count()


def test_an_embedding_only_model_takes_the_state_of_a_full_one(embedder: ReidModel, tmp_path: Path) -> None:
    full = small(embedder.card.name, seed=1).eval()
    expected = full(*inputs(full))
    embedder.load_state_dict(full.state_dict())
    file = tmp_path / "model.safetensors"
    save_file(full.state_dict(), file)
    loaded = small(embedder.card.name, num_classes=None, seed=2)
    load_weights(loaded, file, unexpected=full.state_dict().keys() - loaded.state_dict().keys())
    for model in (embedder, loaded):
        found = model.eval()(*inputs(model))
        assert torch.equal(found.embedding, expected.embedding)
        assert (found.local is None) == (expected.local is None)
        assert found.local is None or torch.equal(found.local, expected.local)


def test_every_parameter_of_an_embedding_only_model_gets_a_gradient(embedder: ReidModel) -> None:
    embedder.zero_grad()
    output = embedder.train()(*inputs(embedder))
    total = output.embedding.square().sum() + output.metric.square().sum()
    if output.local is not None:
        weights = torch.randn(output.local.shape, generator=torch.Generator().manual_seed(2))
        total = total + (output.local * weights).sum()
    (total + sum(score.square().sum() for score in output.attributes or ())).backward()
    assert [name for name, p in embedder.named_parameters() if p.requires_grad and p.grad is None] == []


def test_an_embedding_only_model_raises_for_a_state_that_lacks_weights(embedder: ReidModel) -> None:
    state = embedder.state_dict()
    name = next(iter(state))
    del state[name]
    with pytest.raises(RuntimeError, match="Missing key"):
        embedder.load_state_dict(state)


def test_a_model_without_an_embedding_only_form_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    class NeedsClasses(type(small("osnet_x0_25"))):  # type: ignore[misc]
        def __init__(self, *, num_classes: int) -> None:
            super().__init__(num_classes=num_classes)

    monkeypatch.setitem(MODELS._load(), "needs_classes", NeedsClasses)
    with pytest.raises(ConfigError, match=r"needs_classes has no embedding-only form\. Fix: give num_classes"):
        create_model("needs_classes")
    assert create_model("needs_classes", num_classes=2).parameter_count()


def test_state_round_trip(model: ReidModel) -> None:
    other = create_model(model.card.name, num_classes=CLASSES, **LIGHTEST.get(model.card.name, {}))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(*inputs(model)).embedding, model.eval()(*inputs(model)).embedding)


def test_an_image_does_not_depend_on_its_batch(model: ReidModel) -> None:
    model.eval()
    together = model(*inputs(model))
    alone = model(*inputs(model, slice(2, 3)))
    assert torch.allclose(together.embedding[2:3], alone.embedding, atol=1e-4)
    if together.local is not None and alone.local is not None:
        assert torch.allclose(together.local[2:3], alone.local, atol=1e-4)


def test_models_are_listed_sorted_and_unknown_names_get_a_suggestion() -> None:
    assert list_models() == sorted(list_models())
    with pytest.raises(UnknownNameError, match=r"unknown model 'aap_ried'\. Did you mean aap_reid"):
        create_model("aap_ried", num_classes=3)
    with pytest.raises(UnknownNameError, match=r"unknown option of aap_reid 'last_strid'\. Did you mean last_stride"):
        create_model("aap_reid", num_classes=3, last_strid=1)
    with pytest.raises(ConfigError, match="at least one class"):
        create_model("aap_reid", num_classes=0)


@pytest.mark.parametrize("options", [{"attention_stages": 3}, {"backbone": 18}, {"dropout": 2.0}])
def test_options_of_the_wrong_type_raise_one_clear_error(options: dict[str, object]) -> None:
    with pytest.raises(PasserbyError):
        create_model("aap_reid", num_classes=3, **options)


def test_blocks_cover_the_embedding(model: ReidModel) -> None:
    """The squared distances of all blocks add up to that of the embeddings."""
    blocks = model.blocks()
    if not blocks:
        return
    assert [block.columns.start for block in blocks] == [0, *(block.columns.stop for block in blocks[:-1])]
    assert blocks[-1].columns.stop == model.embedding_size
    assert len({block.name for block in blocks}) == len(blocks)
    x, y = model.eval()(*inputs(model)).embedding[:2]
    apart = sum((x[block.columns] - y[block.columns]).square().sum() for block in blocks)
    assert torch.allclose(torch.as_tensor(apart), (x - y).square().sum(), rtol=1e-5)
