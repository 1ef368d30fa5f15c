"""A whole dataset on disk: Market-1501's layout with attributes, keypoints and, on request, part masks."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from passerby.data.source import ATTRIBUTES, KEYPOINTS, MASKS, SETTINGS
from passerby.errors import ConfigError, OutputError
from passerby.files import atomic_directory, exclusive
from passerby.synthetic.annotations import Entries, attribute_table, coco_json, image_entry, keypoints_entry
from passerby.synthetic.files import Key, file_name, in_training, keys, mask_name, settings_json
from passerby.synthetic.settings import Settings
from passerby.synthetic.shot import encode, encode_mask
from passerby.synthetic.street.world import World

CHUNK = 8
"""The number of images that a worker renders before it reports."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
Progress = Callable[[int], object]


class Job(NamedTuple):
    """The images that one worker writes, one after the other."""

    settings: Settings
    keys: tuple[Key, ...]
    first: int
    """The number of the first one among all, from 1."""
    folder: Path
    masks: bool


def write_pedestrians(
    out: str | Path,
    settings: Settings,
    *,
    workers: int = 1,
    masks: bool = False,
    train_only: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Generate a dataset in the new folder ``out``; the files are the same whatever the number of workers.

    Args:
        workers: processes; a script that asks for more than one needs ``if __name__ == "__main__":``.
        masks: write the part masks too: ``masks/NAME.png``, gray values that index ``labels.PARTS``.
        train_only: leave out the test half of the people, where no evaluation is planned.
        progress: called with the number of images that were finished since the last call.

    Raises:
        OutputError: if the folder exists or cannot be written; nothing is left behind then.
        ConfigError: if the settings contradict each other.
    """
    everything = [key for key in keys(settings) if in_training(settings, key.pid) or not train_only]
    if not everything:
        raise ConfigError(
            f"there is no image to render: {settings.people} people have no training half. Fix: ask for 2 or more"
        )
    with atomic_directory(out) as folder, exclusive(out):
        folders = {file_name(settings, key).partition("/")[0] for key in everything}
        for name in (*folders, *([MASKS] if masks else [])):
            (folder / name).mkdir()
        jobs = [
            Job(settings, tuple(everything[i : i + CHUNK]), i + 1, folder, masks)
            for i in range(0, len(everything), CHUNK)
        ]
        entries: Entries = []
        with closing(_results(jobs, workers)) as results:  # an interruption ends the workers before the folder goes
            for done in results:
                entries += done
                if progress:
                    progress(len(done))
        (folder / KEYPOINTS).write_text(coco_json(entries))
        (folder / ATTRIBUTES).write_text(attribute_table(settings, sorted({key.pid for key in everything})))
        (folder / SETTINGS).write_text(settings_json(settings))
    return Path(out).expanduser()


def _results(jobs: Sequence[Job], workers: int) -> Generator[Entries, None, None]:
    """Yield the jobs' results in order."""
    if workers <= 1 or len(jobs) <= 1:
        yield from map(_work, jobs)
        return
    # Fresh processes instead of forks: a fork of a process that has threads (torch's) may hang.
    context = multiprocessing.get_context("spawn")
    start = partial(ProcessPoolExecutor, min(workers, len(jobs)), mp_context=context)
    with _one_thread_each(), start(initializer=_begin_worker, initargs=(jobs[0].folder,)) as pool:
        try:
            yield from _in_order(pool, jobs, ahead=4 * workers)
        except BrokenProcessPool:
            raise OutputError("a worker process was killed (perhaps for memory). Fix: use fewer workers") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker(folder: Path) -> None:
    """Prepare a worker: Ctrl-C is the parent's to handle, and a worker ends with its parent, however that ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()


def _end_with_parent(folder: Path) -> None:
    """Wait for the end of the parent, which ends its workers itself unless it was killed; then remove what was made."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


def _in_order(pool: ProcessPoolExecutor, jobs: Sequence[Job], *, ahead: int) -> Iterator[Entries]:
    """Run a few jobs at a time, so that an interruption has little to wait for."""
    waiting = iter(jobs)
    futures: list[Future[Entries]] = [pool.submit(_work, job) for job in islice(waiting, ahead)]
    while futures:
        yield futures.pop(0).result()
        futures += [pool.submit(_work, job) for job in islice(waiting, 1)]


def _work(job: Job) -> Entries:
    """Render and write one job's images."""
    world = World(job.settings)
    entries = []
    for number, key in enumerate(job.keys, start=job.first):
        name, shot = file_name(job.settings, key), world.shot(*key)
        (job.folder / name).write_bytes(encode(shot))
        if job.masks:
            (job.folder / mask_name(name)).write_bytes(encode_mask(shot.labels))
        image = image_entry(number, name, key, shot.labels, world.outfit(key.camid))
        entries.append((image, keypoints_entry(number, shot.labels)))
    return entries


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Make the processes that start inside compute with one thread each, so that cores are not oversubscribed."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
