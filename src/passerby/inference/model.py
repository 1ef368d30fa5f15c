"""A trained model with everything needed to use it: people hand it pictures and never touch tensors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from passerby.data.attributes.labels import Attributes
from passerby.data.dataset import Dataset
from passerby.data.keypoints.crops import PartMaker
from passerby.data.source import DirectorySource, Source
from passerby.errors import ProtocolError, WeightsError
from passerby.evaluation.evaluate import evaluate, protocol_of
from passerby.evaluation.open_set import open_set_details
from passerby.inference.attributes import AttributePredictions, attribute_predictions, schema_of
from passerby.inference.embed import embed
from passerby.inference.keypoint_source import part_maker
from passerby.metrics.calibration import CALIBRATION, Calibration
from passerby.metrics.pairs import check_not_reranked
from passerby.models.base import ReidModel
from passerby.types import Embeddings, EvalResult, Protocol, Sample
from passerby.weights.load import digest

_LOG = logging.getLogger(__name__)


class Model:
    """Embeds pictures with one model at one size.

    Args:
        parts: keywords of :func:`~passerby.inference.keypoint_source.part_maker`, for a model that sees parts of the body.
        flip_tta: average each picture with its mirror image.
        normalize: compare embeddings of length 1; ``None``: as the model's paper does. They are kept as they are.
        draws: evaluate on so many galleries with one picture a person; 0: on the whole gallery; ``None``: as the data
            set's own protocol has it.
        seed: of the draws.
        calibration: what the distances mean, where somebody found out (``passerby calibrate``).
    """

    def __init__(
        self,
        model: ReidModel,
        size: tuple[int, int],
        *,
        parts: dict[str, Any] | None = None,
        flip_tta: bool = False,
        normalize: bool | None = None,
        draws: int | None = None,
        seed: int = 0,
        calibration: Calibration | None = None,
    ) -> None:
        self.network, self.size, self.parts = model.eval(), size, parts or {}
        self.protocol = protocol_of(model, flip_tta=flip_tta, normalize=normalize)
        """How embeddings of this predictor are to be compared."""
        self.draws, self.seed = draws, seed
        self.calibration = calibration

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the weights and the size: embeddings of other digits are not comparable."""
        return digest(self.network, str(self.size))[:16]

    def calibration_for(self, how: Protocol) -> Calibration | None:
        """The calibration, where it is of distances made so; a line of the log says why it is not applied.

        Raises:
            WeightsError: if it is of another model.
        """
        if self.calibration is None:
            return None
        if self.calibration.fingerprint != self.fingerprint:
            raise WeightsError(
                f"the run's {CALIBRATION} is of another model (fingerprint {self.calibration.fingerprint}, this one is "
                f"{self.fingerprint}): calibrate again (passerby calibrate RUN --data DATA --overwrite), or delete it"
            )
        if why := self.calibration.mismatch(how):
            _LOG.warning("the calibration is not applied: %s", why)
            return None
        return self.calibration

    def embed_samples(
        self,
        source: Source,
        samples: Sequence[Sample],
        *,
        batch_size: int = 64,
        with_local: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Embeddings:
        """Embed a dataset's samples, in order (see :func:`passerby.inference.embed.embed`)."""
        return embed(
            self.network,
            source,
            samples,
            size=self.size,
            batch_size=batch_size,
            with_local=with_local,
            flip_tta=self.protocol.flip_tta,
            parts=self.part_maker(source),
            progress=progress,
        )

    def part_maker(self, source: Source) -> PartMaker | None:
        """What cuts a source's pictures; ``None`` for a model that sees whole pictures only."""
        return part_maker(source, size=self.size, **self.parts) if "parts" in self.network.card.inputs else None

    def protocol_for(self, dataset: Dataset, *, draws: int | None = None, seed: int | None = None) -> Protocol:
        """What :meth:`evaluate` counts under; ``draws`` and ``seed`` may differ from the predictor's own.

        Raises:
            ProtocolError: if a seed is asked for where nothing is drawn.
        """
        how = protocol_of(
            self.network,
            dataset,
            flip_tta=self.protocol.flip_tta,
            normalize=self.protocol.normalize,
            draws=self.draws if draws is None else draws,
            seed=self.seed if seed is None else seed,
        )
        if seed is not None and not how.draws:
            raise ProtocolError(
                f"seed {seed} would decide which galleries are drawn, but all of {dataset.name}'s gallery counts here: "
                "ask for draws (--draws N), or leave the seed out"
            )
        return how

    def evaluate(
        self,
        dataset: Dataset,
        *,
        protocol: Protocol | None = None,
        attributes: Attributes | None = None,
        batch_size: int = 64,
        embedded: Callable[[Embeddings, Embeddings], object] | None = None,
        open_set: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> EvalResult:
        """Rank the dataset's gallery for each of its queries: the numbers of a run's end and of ``passerby evaluate``.

        Args:
            protocol: by default :meth:`protocol_for` the dataset; another's ``flip_tta`` counts, not the predictor's.
            attributes: what the gallery's people wear (see :func:`passerby.evaluation.evaluate.evaluate`).
            embedded: told the embeddings of query and gallery, before they are compared.
            open_set: also tell same from different people by their distance alone; a calibrated run always does
                (``details`` of the result: :func:`passerby.evaluation.open_set.open_set_details`).
        """
        how = protocol or self.protocol_for(dataset)
        calibration, details = self.calibration_for(how), dict[str, Any]()
        if open_set:
            check_not_reranked(how)

        def look(query: Embeddings, gallery: Embeddings) -> None:
            if embedded is not None:
                embedded(query, gallery)
            if open_set or calibration:
                details.update(open_set_details(query, gallery, how, calibration, dataset))

        result = evaluate(
            self.network,
            dataset,
            size=self.size,
            protocol=how,
            batch_size=batch_size,
            parts=self.part_maker(dataset.source),
            attributes=attributes,
            embedded=look,
            progress=progress,
        )
        return replace(result, details=result.details | details)

    def embed_files(self, paths: Sequence[str | Path], *, with_local: bool = False) -> Embeddings:
        """Embed picture files of which nothing else is known."""
        return self.embed_samples(*of_files(paths), with_local=with_local)

    def describe_samples(
        self,
        source: Source,
        samples: Sequence[Sample],
        *,
        batch_size: int = 64,
        progress: Callable[[int], object] | None = None,
    ) -> list[AttributePredictions]:
        """The attributes that the model predicts of each sample, by name of group.

        Raises:
            ConfigError: if it predicts none.
        """
        schema = schema_of(self.network)
        embeddings = self.embed_samples(source, samples, batch_size=batch_size, progress=progress)
        assert embeddings.attributes is not None
        return attribute_predictions(embeddings.attributes, schema)

    def describe_files(self, paths: Sequence[str | Path]) -> list[AttributePredictions]:
        """The attributes that the model predicts of each picture: ``describe_files(["a.jpg"])[0]["hat"].value``."""
        return self.describe_samples(*of_files(paths))


def of_files(paths: Sequence[str | Path]) -> tuple[DirectorySource, list[Sample]]:
    """Pictures wherever they lie, as samples of one source."""
    return DirectorySource(Path("/")), [Sample(path=str(Path(p).expanduser().resolve())) for p in paths]
