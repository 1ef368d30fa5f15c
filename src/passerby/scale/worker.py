"""The worker: a process with the model, which reads, hashes and embeds chunks of images, and writes nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property

from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, PasserbyError, WeightsError
from passerby.gallery.ingest.contents import Read
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.reading import Embedded, Reading
from passerby.inference.load import load
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.types import Sample


class IngestWorker:
    """A model in a process of its own. Two calls run at a time: one reads while the other one embeds.

    Args:
        run: the run folder, the ONNX file or the name of weights in the package.
        fingerprint: that of the model in the process that writes the gallery.
    """

    def __init__(
        self, run: str, options: InferenceOptions, fingerprint: str, ingest: IngestOptions, *, with_local: bool
    ) -> None:
        self._run, self._options, self._fingerprint = run, options, fingerprint
        self._ingest, self._with_local = ingest, with_local
        self._readings: dict[int, Reading] = {}
        self._opening, self._embedding = threading.Lock(), threading.Lock()

    @cached_property
    def _model(self) -> Model:
        """The model; an error of loading it is one of a call, which the writer sees as it is.

        Raises:
            WeightsError: if it is another model here.
            ConfigError: if it cannot be loaded here.
        """
        model = load(self._run, self._options)
        if model.fingerprint != self._fingerprint:
            raise WeightsError(
                f"'{self._run}' is another model on this worker: fingerprint {model.fingerprint}, expected "
                f"{self._fingerprint}. Fix: copy the run to all machines"
            )
        return model

    def read(self, part: int, source: Source, samples: Sequence[Sample]) -> list[Read | DatasetLayoutError]:
        """Read and hash the files of some images of a part, and return what they tell, or why they cannot be read."""
        return self._reading(part, source).read(samples)

    def embed(
        self, part: int, source: Source, samples: Sequence[Sample], forget: Sequence[str]
    ) -> tuple[Embedded | None, list[tuple[Sample, PasserbyError]]]:
        """Embed images, and return those that can be decoded, and the others with their errors.

        Args:
            forget: images that were read and will not be embedded.
        """
        reading = self._reading(part, source)
        reading.forget(forget)
        broken: list[tuple[Sample, PasserbyError]] = []
        with self._embedding:
            return reading.embed(samples, on_broken=lambda sample, error: broken.append((sample, error))), broken

    def _reading(self, part: int, source: Source) -> Reading:
        """Return what reads a part; that of a part before is dropped, since no more of it will come."""
        with self._opening:
            if part not in self._readings:
                self._readings = {part: Reading(self._model, source, self._ingest, with_local=self._with_local)}
            return self._readings[part]
