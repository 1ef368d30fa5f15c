"""The facade: images of every kind, similarity, what a model says of itself."""

from __future__ import annotations

import io
import re
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

import passerby
from passerby.data.images.rgb import upright_rgb
from passerby.errors import ConfigError, DatasetLayoutError, ImageError, PasserbyError, ShapeError
from passerby.gallery import Gallery
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.metrics.calibration import Calibration
from passerby.metrics.held_out import calibrate_embeddings
from passerby.models.card import ModelCard
from passerby.models.registry import create_model
from passerby.types import Embeddings, ModelOutput, Protocol

SIZE = (32, 16)


@pytest.fixture(scope="module")
def model() -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Model(create_model("strong_baseline", num_classes=3, backbone="resnet18_half"), SIZE)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three images, none of them of the model's size, and one of them with transparency."""
    generator = np.random.default_rng(0)
    for name, mode in (("a.png", "RGB"), ("b.png", "RGBA"), ("c.png", "L")):
        channels = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
        Image.fromarray(generator.integers(0, 256, (40, 25, *channels)).astype(np.uint8), mode).save(tmp_path / name)
    return sorted(tmp_path.glob("*.png"))


def test_every_kind_of_input_gives_the_same_embedding(model: Model, files: list[Path]) -> None:
    expected = model.embed(files).embedding
    opened = [Image.open(file) for file in files]
    arrays = [np.asarray(upright_rgb(image, name="x")) for image in opened]
    assert torch.equal(model.embed(opened).embedding, expected)
    assert torch.equal(model.embed(arrays).embedding, expected)
    assert torch.equal(model([str(files[0]), opened[1], arrays[2]]).embedding, expected)
    one = model.embed(files[:1]).embedding
    for same in (files[0], str(files[0]), opened[0], arrays[0], arrays[0][:, ::-1][:, ::-1]):
        assert torch.equal(model.embed(same).embedding, one)


def test_folders_archives_and_names_inside_them(model: Model, files: list[Path], tmp_path: Path) -> None:
    with ZipFile(tmp_path / "people.zip", "w") as archive:
        for file in files:
            archive.write(file, file.name)
    expected = model.embed(files).embedding
    for place in (tmp_path, str(tmp_path / "people.zip")):
        found = model.embed(place)
        assert found.paths == ("a.png", "b.png", "c.png")
        assert torch.equal(found.embedding, expected)
    inside = model.embed(f"{tmp_path / 'people.zip'}::b.png")
    assert torch.equal(inside.embedding, model.embed(files[1]).embedding)
    mixed = model.embed([f"{tmp_path / 'people.zip'}::b.png", files[0]])
    assert torch.allclose(mixed.embedding, expected[[1, 0]], atol=1e-5)


def test_a_file_is_an_image_whatever_its_name(model: Model, files: list[Path], tmp_path: Path) -> None:
    renamed = tmp_path / "photo.jfif"
    renamed.write_bytes(files[0].read_bytes())
    assert torch.equal(model.embed(renamed).embedding, model.embed(files[0]).embedding)


def test_exif_orientation_counts_in_images_as_in_files(model: Model, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(1).integers(0, 256, (25, 40, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        assert torch.equal(model.embed(turned).embedding, model.embed(tmp_path / "turned.png").embedding)
    assert not torch.equal(model.embed(pixels).embedding, model.embed(tmp_path / "turned.png").embedding)


def test_a_truncated_image_is_named(model: Model, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(files[0].read_bytes()[:300])
    with Image.open(tmp_path / "cut.png") as cut, pytest.raises(ImageError, match="image 1 cannot be decoded"):
        model.embed([files[0], cut])
    with pytest.raises(ImageError, match=r"cut\.png"):
        model.embed([files[0], tmp_path / "cut.png"])


def test_rows_unpack_and_keep_their_labels(model: Model, files: list[Path]) -> None:
    a, b, c = found = model.embed(files)
    assert [len(row) for row in (a, b, c)] == [1, 1, 1]
    assert torch.equal(torch.cat([a.embedding, b.embedding, c.embedding]), found.embedding)
    assert b.paths == (str(files[1]),)
    assert found[-1].paths == found[2:].paths == c.paths


BATCH = np.zeros((2, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([], ImageError, "no images: got an empty list"),
        ("", ImageError, "no images: got an empty text"),
        (np.zeros((8, 8, 3), np.float32), ShapeError, "image 0 has the wrong type: got an array of float32.*0…255"),
        (np.zeros((8, 8), np.uint8), ShapeError, r"image 0 has the wrong shape: got \(8, 8\), expected .*RGB"),
        (np.zeros((8, 8, 4), np.uint8), ShapeError, r"got \(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), ShapeError, r"got \(0, 8, 3\)"),
        (BATCH, ShapeError, r"got \(2, 8, 8, 3\).*Fix: pass a batch as a list of its images: list\(images\)"),
        ([BATCH[0], torch.zeros(8, 8, 3)], ImageError, "image 1 is no image: got Tensor, expected a path, a PIL image"),
        (7, ImageError, "image 0 is no image: got int"),
        ("nowhere.jpg", DatasetLayoutError, "image 0 is '.*nowhere.jpg', which does not exist"),
        ("nowhere", DatasetLayoutError, "nowhere does not exist"),
        (["."], ImageError, "image 0 is the folder '.*', expected one image"),
        (__file__, ImageError, "not an image"),
    ],
)
def test_what_is_no_image_is_an_error(model: Model, images: Any, error: type[PasserbyError], message: str) -> None:
    with pytest.raises(error, match=message):
        model.embed(images)


def test_similarity_is_the_cosine(model: Model, files: list[Path]) -> None:
    a, b, c = model.embed(files)
    found = model.similarity(a, b)
    assert float(found) == pytest.approx(torch.cosine_similarity(a.embedding, b.embedding).item(), abs=1e-5)
    assert float(model.similarity(a, a)) == pytest.approx(1)
    assert (found.probability, found.verdict) == (None, None)
    assert str(found) == f"cosine {found.cosine:.4f}"
    together = model.embed(files)
    matrix = model.similarity_matrix(together[:2], together)
    assert matrix.cosine.shape == (2, 3)
    assert matrix.probability is None
    assert matrix.cosine[0, 2].item() == pytest.approx(float(model.similarity(a, c)), abs=1e-5)
    with pytest.raises(ShapeError, match=r"got 3 and 1 embeddings, expected 1 and 1. Fix: model.similarity_matrix"):
        model.similarity(together, a)
    for compare in (model.similarity, model.similarity_matrix):
        with pytest.raises(ConfigError, match=r"got str, expected Embeddings. Fix: embed the images first"):
            compare("a.jpg", "b.jpg")  # type: ignore[arg-type]


@pytest.mark.parametrize("dataset", ["own", Path("own")])
def test_only_a_dataset_is_evaluated_on(model: Model, dataset: Any) -> None:
    for evaluate in (model.evaluate, partial(passerby.evaluate, model)):
        with pytest.raises(ConfigError, match=r"got .*own.*, expected a Dataset. Fix: passerby\.data\.load\('own'\)"):
            evaluate(dataset)


def calibrated(model: Model) -> Model:
    """The model with a calibration of made-up people around it."""
    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(40).repeat_interleave(4)
    centers = torch.randn(40, model.embedding_size, generator=generator)
    vectors = centers[pids] + 0.5 * torch.randn(160, model.embedding_size, generator=generator)
    side = Embeddings(vectors, tuple(map(str, range(160))), pids, torch.arange(160) % 4)
    rows = torch.arange(160)
    made = calibrate_embeddings(
        side[rows[::2]], side[rows[1::2]], model.protocol, method="logistic", seed=0, fingerprint=model.fingerprint,
        data="made up", content="none",
    )  # fmt: skip
    return Model(model.network, model.size, calibration=made)


def test_a_calibrated_model_gives_the_probability_of_the_same_person(model: Model, files: list[Path]) -> None:
    knowing = calibrated(model)
    calibration = knowing.calibration
    assert isinstance(calibration, Calibration)
    a, b, _ = knowing.embed(files)
    found = knowing.similarity(a, b)
    distance = 2 - 2 * found.cosine  # of L2-normalized embeddings
    probability = calibration.probability(torch.tensor([distance], dtype=torch.float64)).item()
    assert found.probability == pytest.approx(probability, abs=1e-4)
    assert found.verdict == calibration.verdict(distance)[1]
    assert f"same person with probability {found.probability:.4f} ({found.verdict})" in str(found)
    matrix = knowing.similarity_matrix(a, b)
    assert matrix.probability is not None
    assert matrix.probability.item() == pytest.approx(probability, abs=1e-4)
    raw = Model(model.network, model.size, InferenceOptions(normalize=False), calibration=calibration)
    assert raw.similarity(a, b).probability is None, "another distance than it was calibrated for"


def test_repr_tells_name_backbone_size_dimension_and_device(model: Model) -> None:
    shown = r"Model\(strong_baseline, backbone=\w+, size=32×16, dimension=\d+, device=cpu\)"
    assert re.fullmatch(shown, repr(model)), "of a bare network, the class of its backbone"
    named = Model(model.network, SIZE, backbone="resnet18_half")
    assert "backbone=resnet18_half" in repr(named)
    whole = Model(create_model("osnet_x0_25", num_classes=2), SIZE)
    assert repr(whole) == "Model(osnet_x0_25, size=32×16, dimension=512, device=cpu)"


def test_options_are_resolved_and_the_network_stays_where_it_is_without_any(model: Model) -> None:
    assert model.options == InferenceOptions(device="cpu", flip_tta=False, normalize=True, keypoints="auto")
    assert model.protocol == Protocol()
    with pytest.raises(ConfigError, match="device 'cuda:99' cannot be used"):
        Model(model.network, SIZE, InferenceOptions(device="cuda:99"))


def test_batches_have_the_size_of_the_options(model: Model, files: list[Path]) -> None:
    counts: list[int] = []
    small = Model(model.network, SIZE, InferenceOptions(batch_size=2))
    found = small.embed(files, progress=counts.append)
    assert counts == [2, 1]
    assert torch.allclose(found.embedding, model.embed(files).embedding, atol=1e-5)


def test_attributes_need_a_model_that_predicts_them(model: Model, files: list[Path]) -> None:
    with pytest.raises(ConfigError, match="strong_baseline predicts no attributes"):
        model.predict_attributes(files)


def test_bytes_of_jpeg_files_and_their_decoded_images_agree(model: Model, tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (40, 20, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    (tmp_path / "a.jpg").write_bytes(file.getvalue())
    with Image.open(tmp_path / "a.jpg") as image:
        assert torch.equal(model.embed(image).embedding, model.embed(tmp_path / "a.jpg").embedding)


class MeanColor:
    """A session without PyTorch's layers: the mean color of an image is its embedding."""

    card = ModelCard(name="mean_color", paper="none", input_size=SIZE, normalize=False)
    schema = None
    embedding_size = 3
    device = torch.device("cpu")

    def run(self, images: torch.Tensor, parts: torch.Tensor | None = None) -> ModelOutput:
        assert images.dtype == torch.uint8
        assert parts is None
        mean = images.float().mean(dim=(2, 3))
        return ModelOutput(mean, mean)

    def digest(self, salt: str) -> str:
        return f"{salt:_<64}"


def test_any_session_serves(files: list[Path], tmp_path: Path) -> None:
    model = Model(MeanColor(), SIZE, InferenceOptions(flip_tta=True))
    found = model.embed(files)
    expected = [np.asarray(upright_rgb(Image.open(file), name="x")).mean(axis=(0, 1)) for file in files]
    assert np.allclose(found.embedding.numpy(), expected, atol=2), "resizing keeps the mean color"
    assert repr(model) == "Model(mean_color, size=32×16, dimension=3, device=cpu)"
    assert (model.protocol.normalize, model.protocol.flip_tta) == (False, True)
    gallery = Gallery(model)
    gallery.add(files)
    gallery.save(tmp_path / "g.parquet")
    assert Gallery.open(model, tmp_path / "g.parquet").search(files[1], k=1)[0].path == str(files[1])
    with pytest.raises(ConfigError, match="mean_color runs in a MeanColor, which has no PyTorch network"):
        _ = model.network
    with pytest.raises(ConfigError, match="mean_color predicts no attributes"):
        model.predict_attributes(files)
