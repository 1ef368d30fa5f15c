"""Images on their way into a gallery through many workers; one process decides what is new, and writes.

    files → workers read and hash → the writer: which are new? → workers embed → the writer adds them to the gallery

A chunk whose worker dies is given to another one. What the writer has written stays: the same command goes on after
it, too, has died. Rows are those of one process; their order, and so their IDs, differ from run to run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from passerby.data.keypoints.origin import KeypointOrigin
from passerby.data.source import Source
from passerby.errors import PasserbyError
from passerby.gallery.ingest.ingest import Chunk, Ingest, chunks
from passerby.gallery.ingest.inputs import Part
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.thumbnails import Thumbnails
from passerby.gallery.store import Store
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.scale.cluster import ClusterError
from passerby.scale.options import Workers
from passerby.scale.worker import IngestWorker
from passerby.weights.catalog import shipped

CHUNK = 256
"""The number of images of a chunk: what a dead worker has done in vain, at most."""
AHEAD = 2
"""The number of chunks on their way for each worker: one is read while one is embedded."""
ATTEMPTS = 3
"""The number of workers that may die of one chunk."""
_LOG = logging.getLogger(__name__)


@dataclass
class _Task:
    """A chunk, and what is being done with it."""

    part: Part
    worker: Any
    read: Chunk | None = None
    """The chunk with what its files told; ``None`` while they are read."""
    rows: tuple[int, ...] = ()
    deaths: int = 0


class RayIngest(Ingest):
    """The way of images into one gallery through the workers of a cluster.

    Args:
        ray: Ray, connected (:func:`~passerby.scale.cluster.cluster`).
        run: what the model was loaded from; workers load it from there, too.
        device: the device of the workers.
        progress: called with the number of images after each chunk.
    """

    def __init__(
        self,
        ray: Any,
        workers: Workers,
        run: str | Path,
        model: Model,
        store: Store,
        options: IngestOptions,
        *,
        device: str = "auto",
        progress: Callable[[int], object] | None = None,
    ) -> None:
        super().__init__(model, store, options, progress=progress)
        self._ray, self._parts = ray, 0
        gpus = workers.gpus(device, ray.cluster_resources().get("GPU", 0))
        limits = {"num_cpus": workers.cpus, "num_gpus": gpus, "max_concurrency": AHEAD}
        actor = ray.remote(**limits)(IngestWorker)
        known = _options(model, device), model.fingerprint, options
        place = str(run) if shipped(run) else str(Path(run).absolute())
        self._start: Callable[[], Any] = lambda: actor.remote(place, *known, with_local=self.with_local)
        self._workers: list[Any] = [self._start() for _ in range(workers.count)]

    def add_part(self, part: Part, keypoints: KeypointOrigin | None) -> None:
        """Add a part in chunks, a few of which are on their way at a time.

        Raises:
            ClusterError: if workers die again and again of one chunk.
            PasserbyError: what a worker raises.
        """
        if self.options.thumbnails or not part.source.is_lasting:
            Thumbnails(part.source, blur=self.options.blur)  # says here what workers would say in their logs
        self._parts += 1
        source, waiting = self._ray.put(_absolute(part)), chunks(part, CHUNK)
        tasks: dict[Any, _Task] = {}
        while True:
            while len(tasks) < AHEAD * len(self._workers) and (piece := next(waiting, None)) is not None:
                task = _Task(piece, self._idlest(tasks))
                tasks[self._submitted(task, source)] = task
            if not tasks:
                return
            done = self._ray.wait(list(tasks), num_returns=1)[0][0]
            task = tasks.pop(done)
            if self._advanced(task, done, keypoints):
                if task.worker not in self._workers:
                    task.worker = self._idlest(tasks)
                tasks[self._submitted(task, source)] = task

    def _idlest(self, tasks: dict[Any, _Task]) -> Any:
        busy = [task.worker for task in tasks.values()]
        return min(self._workers, key=busy.count)

    def _submitted(self, task: _Task, source: Any) -> Any:
        if task.read is None:
            return task.worker.read.remote(self._parts, source, task.part.samples)
        new = dict.fromkeys(task.rows)
        samples = [task.part.samples[row] for row in task.rows]
        known = [sample.path for row, sample in enumerate(task.part.samples) if row not in new]
        return task.worker.embed.remote(self._parts, source, samples, known)

    def _advanced(self, task: _Task, done: Any, keypoints: KeypointOrigin | None) -> bool:
        """Take what a worker returned; return whether there is more to do with the chunk."""
        try:
            found = self._ray.get(done)
        except self._ray.exceptions.RayActorError as death:
            self._bury(task, death)
            return True
        except self._ray.exceptions.RayTaskError as failure:
            if isinstance(failure.cause, PasserbyError):
                raise failure.cause from None
            raise
        if task.read is None:
            task.read = Chunk(task.part, found)
            task.rows = tuple(self.new_rows(task.read))
            return bool(task.rows)
        embedded, broken = found
        for sample, error in broken:
            self.note(task.part.source, sample, error)
        if embedded is not None:
            self.write(task.read, embedded, keypoints)
        self.advance(len(task.rows))
        return False

    def _bury(self, task: _Task, error: Exception) -> None:
        """Replace a dead worker, and give the chunk to another one.

        Raises:
            ClusterError: if it was the last attempt.
        """
        task.deaths += 1
        if task.deaths >= ATTEMPTS:
            raise ClusterError(
                f"{ATTEMPTS} workers died of the chunk that begins with {task.part.samples[0].path!r}: "
                f"{str(error).splitlines()[0]}. Fix: look for what ends them, such as too little memory; the same "
                "command goes on from here"
            ) from None
        if task.worker in self._workers:
            _LOG.warning("a worker died; another one takes its chunks")
            self._workers[self._workers.index(task.worker)] = self._start()


def _options(model: Model, device: str) -> InferenceOptions:
    """Return the options of a model, for another process."""
    keypoints = model.options.keypoints if "parts" in model.card.inputs else None
    return replace(model.options, device=device, keypoints=keypoints)


def _absolute(part: Part) -> Source:
    """Return the source of a part so that a worker in another folder opens the same."""
    source = copy(part.source)
    if source.root.exists():
        source.root = source.root.absolute()
    return source
