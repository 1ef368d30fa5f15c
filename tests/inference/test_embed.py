"""Samples to embeddings: order, mode, columns, fingerprints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from passerby.data.source import Source, open_source
from passerby.errors import DatasetLayoutError, ImageError
from passerby.inference.embed import embed
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.inference.session import TorchSession
from passerby.models.base import ReidModel
from passerby.models.registry import create_model, model_card
from passerby.types import Protocol, Role, Sample

SIZE = (32, 16)


@pytest.fixture(scope="module")
def model() -> ReidModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create_model("aligned_reid", num_classes=3, backbone="resnet18_half")


@pytest.fixture
def folder(tmp_path: Path) -> Source:
    for i in range(5):
        Image.effect_noise((16, 32), 40 + 20 * i).convert("RGB").save(tmp_path / f"{i}.png")
    return open_source(tmp_path)


def samples(**fields: list[int | None]) -> list[Sample]:
    return [Sample(f"{i}.png", **{name: values[i] for name, values in fields.items()}) for i in range(5)]


def test_rows_follow_the_samples_whatever_the_batch(model: ReidModel, folder: Source) -> None:
    order = [samples()[i] for i in (3, 0, 4, 1, 2)]
    whole = embed(TorchSession(model), folder, order, size=SIZE)
    parts = embed(TorchSession(model), folder, order, size=SIZE, batch_size=2, threads=1)
    assert whole.paths == ("3.png", "0.png", "4.png", "1.png", "2.png")
    assert torch.allclose(whole.embedding, parts.embedding, atol=1e-5)
    alone = embed(TorchSession(model), folder, order[1:2], size=SIZE)
    assert torch.allclose(whole.embedding[1:2], alone.embedding, atol=1e-5)
    assert whole.embedding.shape == (5, model.embedding_size)


def test_the_mode_is_restored_and_evaluation_is_without_dropout(model: ReidModel, folder: Source) -> None:
    model.train()
    first = embed(TorchSession(model), folder, samples(), size=SIZE)
    assert model.training
    assert torch.equal(first.embedding, embed(TorchSession(model.eval()), folder, samples(), size=SIZE).embedding)


def test_columns_are_those_of_the_samples(model: ReidModel, folder: Source) -> None:
    known = embed(TorchSession(model), folder, samples(pid=[5, -1, 0, 5, 7], camid=[1, 2, 3, 1, 2]), size=SIZE)
    assert known.pids is not None
    assert known.camids is not None
    assert known.pids.tolist() == [5, -1, 0, 5, 7]
    assert known.camids.tolist() == [1, 2, 3, 1, 2]
    unknown = embed(TorchSession(model), folder, samples(), size=SIZE)
    assert unknown.pids is None
    assert unknown.camids is None


def test_partly_known_people_raise(model: ReidModel, folder: Source) -> None:
    with pytest.raises(DatasetLayoutError, match="people are known for 4 of 5 images"):
        embed(TorchSession(model), folder, samples(pid=[1, 2, None, 3, 4]), size=SIZE)


def test_roles_and_stripes_are_kept(model: ReidModel, folder: Source) -> None:
    with_roles = [Sample(f"{i}.png", i, 1, role) for i, role in enumerate([*Role, Role.PERSON, Role.PERSON])]
    found = embed(TorchSession(model), folder, with_roles, size=SIZE, with_local=True)
    assert found.roles is not None
    assert found.roles.tolist() == [0, 1, 2, 0, 0]
    assert found.local is not None
    assert found.local.shape == (5, 1, 128)
    assert embed(TorchSession(model), folder, with_roles, size=SIZE).local is None


def test_nothing_and_what_cannot_be_read_are_errors(model: ReidModel, folder: Source) -> None:
    with pytest.raises(DatasetLayoutError, match="no images to embed"):
        embed(TorchSession(model), folder, [], size=SIZE)
    (folder.root / "2.png").write_bytes(b"\x89PNG")
    model.train()
    with pytest.raises(ImageError, match=r"2\.png"):
        embed(TorchSession(model), folder, samples(), size=SIZE)
    assert model.training


def test_a_model_embeds_files_anywhere(model: ReidModel, folder: Source) -> None:
    wrapped = Model(model, SIZE)
    files = [folder.root / "4.png", folder.root / "1.png"]
    expected = embed(TorchSession(model), folder, samples(), size=SIZE).embedding[[4, 1]]
    assert torch.allclose(wrapped.embed(files).embedding, expected, atol=1e-5)


def test_fingerprints_tell_weights_and_sizes_apart(model: ReidModel) -> None:
    same, other_size = Model(model, SIZE), Model(model, (64, 32))
    before = same.fingerprint
    assert before == Model(model, SIZE).fingerprint
    assert before != other_size.fingerprint
    with torch.no_grad():
        model.classifier.bias[0] += 1  # type: ignore[union-attr,index,operator]
    assert same.fingerprint != before


def test_flip_tta_averages_an_image_and_its_mirror_image(model: ReidModel, folder: Source, tmp_path: Path) -> None:
    for i in range(5):
        with Image.open(tmp_path / f"{i}.png") as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / f"m{i}.png")
    mirror_images = [Sample(f"m{i}.png") for i in range(5)]
    plain, mirrored = (
        embed(TorchSession(model), folder, s, size=SIZE, with_local=True) for s in (samples(), mirror_images)
    )
    both = embed(TorchSession(model), folder, samples(), size=SIZE, with_local=True, flip_tta=True)
    assert not torch.allclose(plain.embedding, mirrored.embedding, atol=1e-3)
    assert torch.allclose(both.embedding, (plain.embedding + mirrored.embedding) / 2, atol=1e-5)
    assert both.local is not None
    assert plain.local is not None
    assert mirrored.local is not None
    assert torch.allclose(both.local.norm(dim=-1), torch.ones(5, 1), atol=1e-5)
    summed = plain.local + mirrored.local
    assert torch.allclose(both.local, summed / summed.norm(dim=-1, keepdim=True), atol=1e-5)
    again = embed(TorchSession(model), folder, mirror_images, size=SIZE, flip_tta=True)
    assert torch.allclose(both.embedding, again.embedding, atol=1e-5), "a mirrored image gets the same embedding"


def test_a_model_compares_as_its_paper_does_by_default(model: ReidModel, folder: Source) -> None:
    assert Model(model, SIZE).protocol == Protocol()
    asked = Model(model, SIZE, InferenceOptions(flip_tta=True, normalize=False))
    assert (asked.protocol.flip_tta, asked.protocol.normalize) == (True, False)
    expected = embed(TorchSession(model), folder, samples(), size=SIZE, flip_tta=True).embedding
    assert torch.equal(asked.embed_samples(folder, samples()).embedding, expected), "kept as the model made them"
    papers = {name: model_card(name).normalize for name in ("aap_reid", "strong_baseline", "aanet", "dual_attention")}
    assert papers == {"aap_reid": True, "strong_baseline": True, "aanet": False, "dual_attention": False}
