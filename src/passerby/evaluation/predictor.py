"""A trained model with everything needed to use it: people hand it pictures and never touch tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from passerby.data.source import DirectorySource, Source
from passerby.evaluation.embed import embed
from passerby.models.card import ReidModel
from passerby.types import Embeddings, Sample


class Predictor:
    """Embeds pictures with one model at one size."""

    def __init__(self, model: ReidModel, size: tuple[int, int]) -> None:
        self.model, self.size = model.eval(), size

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the weights and the size: embeddings of other digits are not comparable."""
        digest = hashlib.sha256(str(self.size).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def embed_samples(
        self,
        source: Source,
        samples: Sequence[Sample],
        *,
        batch_size: int = 64,
        with_local: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Embeddings:
        """Embed a dataset's samples, in order (see :func:`passerby.evaluation.embed.embed`)."""
        return embed(
            self.model,
            source,
            samples,
            size=self.size,
            batch_size=batch_size,
            with_local=with_local,
            progress=progress,
        )

    def embed_files(self, paths: Sequence[str | Path], *, with_local: bool = False) -> Embeddings:
        """Embed picture files of which nothing else is known."""
        samples = [Sample(path=str(Path(p).expanduser().resolve())) for p in paths]
        return self.embed_samples(DirectorySource(Path("/")), samples, with_local=with_local)
