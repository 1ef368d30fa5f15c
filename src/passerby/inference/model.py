"""A trained model with everything needed to use it: images in, embeddings, similarities and numbers out.

    model = passerby.load("runs/x", device="auto")
    a, b = model.embed(["a.jpg", "b.jpg"])
    print(model.similarity(a, b))

Behind it is a :class:`~passerby.inference.session.Session`, which runs the network. Searches are in
:mod:`passerby.gallery`; evaluation is in :mod:`passerby.evaluation`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from torch import nn

from passerby.data.attributes.labels import Attributes
from passerby.data.attributes.schema import Schema
from passerby.data.dataset import Dataset
from passerby.data.images.decode import OnBroken
from passerby.data.images.normalize import Normalization
from passerby.data.keypoints.crops import PartMaker
from passerby.data.keypoints.origin import AUTO, KeypointOrigin
from passerby.data.source import Source
from passerby.errors import ConfigError, ProtocolError, WeightsError
from passerby.inference.attributes import AttributePredictions, attribute_predictions, schema_of
from passerby.inference.embed import embed
from passerby.inference.embeddings_file import Origin, attribute_names
from passerby.inference.images import ImagesInput, collect_images
from passerby.inference.keypoint_source import keypoint_origin, part_maker
from passerby.inference.options import InferenceOptions, resolve_device
from passerby.inference.session import Session, TorchSession
from passerby.inference.similarity import Similarity, SimilarityMatrix, pair_similarity, similarity_matrix
from passerby.metrics.calibration import CALIBRATION, Calibration
from passerby.metrics.single_shot import DRAWS, MAX_DRAWS, SINGLE_SHOT
from passerby.models.base import ReidModel
from passerby.models.card import ModelCard
from passerby.types import Distance, Embeddings, EvalResult, Protocol, Sample

_LOG = logging.getLogger(__name__)


class Model:
    """A network with all that is needed to embed images; :func:`passerby.load` makes it of a run folder.

    Args:
        network: the network, which is put into evaluation mode; or a session that runs one.
        size: the image size as (height, width).
        options: how to embed; what is ``None`` is decided by the model's paper. Without options the network stays on
            its device, else it is moved to ``options.device``.
        parts: keywords ``by``, ``overlap`` and ``align`` of :func:`~passerby.inference.keypoint_source.part_maker`,
            for a model that sees body parts.
        draws: the number of random single-shot galleries to evaluate on; 0: the whole gallery; ``None``: as the
            dataset's own protocol has it.
        seed: the random seed of the draws.
        distance: what evaluations rank by (:class:`~passerby.types.Protocol`); searches always compare embeddings.
        calibration: what the distances mean (``passerby calibrate``).
        backbone: the backbone's name, for ``repr``.
        normalization: the normalization of the images that the network was trained with; a session has its own.
    """

    def __init__(
        self,
        network: ReidModel | Session,
        size: tuple[int, int],
        options: InferenceOptions | None = None,
        *,
        parts: Mapping[str, Any] | None = None,
        draws: int | None = None,
        seed: int = 0,
        distance: Distance = "global",
        calibration: Calibration | None = None,
        backbone: str | None = None,
        normalization: Normalization = "imagenet",
    ) -> None:
        if isinstance(network, nn.Module):
            placed = network if options is None else network.to(resolve_device(options.device))
            network = TorchSession(placed, normalization=normalization)
            network.network.eval()
        self.session: Session = network
        self.size, self.parts = size, dict(parts or {})
        defaults = {"flip_tta": False, "normalize": network.card.normalize, "keypoints": AUTO}
        self.options = (options or InferenceOptions()).with_defaults(**defaults).updated(device=str(network.device))
        self.draws, self.seed, self.distance, self.calibration = draws, seed, distance, calibration
        self._backbone = backbone

    def __repr__(self) -> str:
        height, width = self.size
        backbone = f"backbone={self.backbone}, " if self.backbone else ""
        return (
            f"Model({self.card.name}, {backbone}size={height}×{width}, dimension={self.embedding_size}, "
            f"device={self.session.device})"
        )

    @property
    def network(self) -> ReidModel:
        """The PyTorch network, for callers that need gradients or its layers.

        Raises:
            ConfigError: if the session runs something else.
        """
        return self._torch_session.network

    @property
    def _torch_session(self) -> TorchSession:
        if not isinstance(self.session, TorchSession):
            kind = type(self.session).__name__
            raise ConfigError(
                f"{self.card.name} runs in {'an' if kind[0] in 'AEIOU' else 'a'} {kind}, which has no PyTorch network "
                "for gradients, maps, branches or export. Fix: give the run folder itself"
            )
        return self.session

    @property
    def normalization(self) -> Normalization:
        """The normalization of the images that :attr:`network` takes.

        Raises:
            ConfigError: if the session runs something else than a PyTorch network, and so normalizes images itself.
        """
        return self._torch_session.normalization

    @property
    def card(self) -> ModelCard:
        """The facts of the model: its name, its paper, what it takes, which distances its output allows."""
        return self.session.card

    @property
    def schema(self) -> Schema | None:
        """The attributes that the model predicts; ``None`` if it predicts none."""
        return self.session.schema

    @property
    def backbone(self) -> str | None:
        """The name of the backbone; ``None`` for a network that is its own."""
        if self._backbone or not isinstance(self.session, TorchSession):
            return self._backbone
        prefix = self.network.backbone_prefix
        return type(getattr(self.network, prefix)).__name__ if prefix else None

    @property
    def embedding_size(self) -> int:
        """The number of dimensions of an embedding."""
        return self.session.embedding_size

    @property
    def fingerprint(self) -> str:
        """The 16 hex digits of the weights and the size: embeddings of other digits are not comparable."""
        return self.session.digest(str(self.size))[:16]

    @property
    def protocol(self) -> Protocol:
        """The protocol by which its embeddings are compared: Market-1501's, with the options' flags."""
        options = self.options
        return Protocol(flip_tta=bool(options.flip_tta), normalize=bool(options.normalize))

    def embed(
        self,
        images: ImagesInput,
        *,
        with_local: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Embeddings:
        """Embed images, in order; ``model(images)`` is the same.

        Args:
            images: a file, a PIL image or a uint8 array ``(height, width, 3)`` of RGB; a list of these; or a folder,
                an archive or ``NAME:PATH``, of which every image is taken.
            with_local: keep the stripe vectors too, for the local distances.
            progress: called with the number of images after each batch.

        Raises:
            ImageError: if something is no image, or the list is empty.
            ShapeError: if an array is not uint8 of shape ``(height, width, 3)``.
            DatasetLayoutError: if a file or place does not exist, or holds no images.
        """
        source, samples = collect_images(images)
        return self.embed_samples(source, samples, with_local=with_local, progress=progress)

    __call__ = embed

    def embed_samples(
        self,
        source: Source,
        samples: Sequence[Sample],
        *,
        with_local: bool = False,
        flip_tta: bool | None = None,
        reader: Source | None = None,
        on_broken: OnBroken | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Embeddings:
        """Embed a dataset's samples, in order, with their labels (see :func:`passerby.inference.embed.embed`)."""
        return embed(
            self.session,
            source,
            samples,
            size=self.size,
            batch_size=self.options.batch_size,
            with_local=with_local,
            flip_tta=bool(self.options.flip_tta if flip_tta is None else flip_tta),
            parts=self.part_maker(source),
            reader=reader,
            on_broken=on_broken,
            progress=progress,
        )

    def similarity(self, a: Embeddings, b: Embeddings) -> Similarity:
        """Return how alike two images are: the cosine of their embeddings and, if calibrated, P(same person).

        Raises:
            ShapeError: if ``a`` or ``b`` is not the embedding of exactly one image.
            WeightsError: if the calibration belongs to another model.
        """
        return pair_similarity(a, b, normalize=self.protocol.normalize, calibration=self.search_calibration)

    def similarity_matrix(self, a: Embeddings, b: Embeddings) -> SimilarityMatrix:
        """Return how alike every row of ``a`` is to every row of ``b``.

        Raises:
            ShapeError: if the embeddings have different dimensions.
            WeightsError: if the calibration belongs to another model.
        """
        return similarity_matrix(a, b, normalize=self.protocol.normalize, calibration=self.search_calibration)

    def predict_attributes(self, images: ImagesInput | Embeddings) -> list[AttributePredictions]:
        """Return the attributes that the model predicts: ``predict_attributes("a.jpg")[0]["hat"].value``.

        Args:
            images: as for :meth:`embed`; or what it returned.

        Raises:
            ConfigError: if the model predicts no attributes.
        """
        schema = schema_of(self)
        embeddings = images if isinstance(images, Embeddings) else self.embed(images)
        if embeddings.attributes is None:
            raise ConfigError(f"these embeddings hold no attributes. Fix: embed the images with {self.card.name}")
        return attribute_predictions(embeddings.attributes, schema)

    def evaluate(
        self,
        dataset: Dataset,
        *,
        protocol: Protocol | None = None,
        attributes: Attributes | None = None,
        open_set: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> EvalResult:
        """Rank the dataset's gallery for each query; see :func:`passerby.evaluation.evaluate.evaluate`."""
        from passerby.evaluation.evaluate import evaluate  # the one import upwards (tests/test_layers.py)

        return evaluate(
            self, dataset, protocol=protocol, attributes=attributes, open_set=open_set, progress=progress
        )  # fmt: skip

    def protocol_for(self, dataset: Dataset, *, draws: int | None = None, seed: int | None = None) -> Protocol:
        """Return the protocol that :meth:`evaluate` follows on a dataset.

        It is Market-1501's, or single-shot where the dataset was made for that, with the model's distance; ``draws``
        and ``seed`` override the model's own.

        Raises:
            ProtocolError: if a seed is given where nothing is random.
        """
        protocol = replace(self.protocol, distance=self.distance)
        draws = self.draws if draws is None else draws
        if draws is None:
            draws = DRAWS if dataset.single_shot else 0
        if draws > MAX_DRAWS:
            raise ProtocolError(f"got {draws:,} draws, expected at most {MAX_DRAWS:,}. Fix: {DRAWS} are usual")
        if draws:
            seed = self.seed if seed is None else seed
            return replace(protocol, name=SINGLE_SHOT, draws=draws, seed=seed)
        if seed is not None:
            raise ProtocolError(
                f"seed {seed} would decide which galleries are drawn, but all of {dataset.name}'s gallery counts here. "
                "Fix: ask for draws (--draws N), or leave the seed out"
            )
        return protocol

    def calibration_for(self, how: Protocol) -> Calibration | None:
        """Return the calibration if it is of distances made as ``how`` says; a log line says why it is not applied.

        Raises:
            WeightsError: if it belongs to another model.
        """
        if self.calibration is None:
            return None
        if self.calibration.fingerprint != self.fingerprint:
            raise WeightsError(
                f"the run's {CALIBRATION} is of another model (fingerprint {self.calibration.fingerprint}, this one is "
                f"{self.fingerprint}). Fix: calibrate again (passerby calibrate RUN --data DATA --overwrite), or "
                "delete it"
            )
        if why := self.calibration.mismatch(how):
            _LOG.warning("the calibration is not applied: %s", why)
            return None
        return self.calibration

    @cached_property
    def search_calibration(self) -> Calibration | None:
        """The calibration of the distances that searches and similarities are made of."""
        return self.calibration_for(self.protocol)

    def origin(self, source: Source | None = None) -> Origin:
        """Return what a file of embeddings records of this model and, if given, of the source of its images."""
        return Origin(
            fingerprint=self.fingerprint,
            model=self.card.name,
            size=self.size,
            root=source.place if source else "",
            attributes=attribute_names(self.schema),
            flip_tta=self.protocol.flip_tta,
            normalize=self.protocol.normalize,
            distance=self.distance,
            keypoints=self.keypoint_origin(source) if source else None,
        )

    def part_maker(self, source: Source) -> PartMaker | None:
        """Return what cuts a source's images into body parts; ``None`` for a model that sees whole images only."""
        if "parts" not in self.card.inputs:
            return None
        return part_maker(source, size=self.size, keypoints=str(self.options.keypoints), **self.parts)

    @property
    def uses_keypoints(self) -> bool:
        """The flag that the model sees body parts, which keypoints locate."""
        return "parts" in self.card.inputs and self.parts.get("by", "pose") == "pose"

    def keypoint_origin(self, source: Source) -> KeypointOrigin | None:
        """Return the keypoints that cut a source's images; ``None`` if none do."""
        return keypoint_origin(str(self.options.keypoints), source) if self.uses_keypoints else None
