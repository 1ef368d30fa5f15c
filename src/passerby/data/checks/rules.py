"""The rules of the data check: a rule is a function *examined dataset → findings*; :data:`RULES` lists them.

An error makes a number wrong or stops a command, a warning makes it less reliable, an info is good to know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from passerby.data.checks.inspection import ExaminedDataset
from passerby.data.checks.report import Finding, Level
from passerby.data.copies import Pair, self_matches
from passerby.data.dataset import SPLITS, UNLABELED, Split, people, queries_without_match
from passerby.data.datasets.layout import count_of
from passerby.data.registry import explain
from passerby.data.unread import unread_files
from passerby.types import Role, Sample

Rule: TypeAlias = Callable[[ExaminedDataset], Iterator[Finding]]
SIZE_RATIO = 16
"""The ratio of the largest to the smallest image's area from which sizes are reported."""


def _files(samples: Iterable[Sample]) -> tuple[str, ...]:
    return tuple(sorted({s.path for s in samples}))


def _by_person(samples: Iterable[Sample]) -> dict[int | None, list[Sample]]:
    groups: dict[int | None, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.pid].append(sample)
    return groups


def _images(samples: Iterable[Sample]) -> str:
    return count_of(len(_files(samples)), "image", "images")


def _persons(count: int) -> str:
    return count_of(count, "person", "people")


def empty_splits(x: ExaminedDataset) -> Iterator[Finding]:
    """Report splits without images, and what the dataset can be used for."""
    train, query, gallery = (getattr(x.dataset, split) for split in SPLITS)
    if x.dataset.name == UNLABELED:
        return
    if query and not gallery:
        yield Finding("error", "empty-split", "there are query images but no gallery to search")
    elif gallery and not query:
        yield Finding("info", "empty-split", "there are no query images: usable for search, not for evaluation")
    elif not query:
        yield Finding("info", "empty-split", "there are no query and gallery images: usable for training only")
    if not train:
        yield Finding("info", "empty-split", "there are no training images: not usable for training")


def no_layout(x: ExaminedDataset) -> Iterator[Finding]:
    """Report a place without a known layout, and folders that look like those of one."""
    if x.dataset.name == UNLABELED:
        if why := explain(x.dataset.source.names()):
            yield Finding("error", "no-layout", f"no known layout, so no labels are read: {why}")
        else:
            message = "no known layout, so the images have no labels: usable for embed and search (docs/data.md)"
            yield Finding("info", "no-layout", message)


def no_identity(x: ExaminedDataset) -> Iterator[Finding]:
    """Report images without an identity, where a training, an evaluation or a search needs it; count the others."""
    if lost := [s for s in x.samples("train") if s.pid is None or s.role is not Role.PERSON]:
        message = f"{_images(lost)} of train without a person ID: training needs one for each"
        yield Finding("error", "no-identity", message, _files(lost))
    for split in ("query", "gallery"):
        samples = x.samples(split)
        unknown = [s for s in samples if s.pid is None or (s.pid < 0 and s.role is Role.PERSON)]
        if unknown and (x.dataset.query or len(unknown) < len(samples)):
            message = (
                f"{_images(unknown)} of {len(samples):,} of {split} without a person ID: name all, or none to search"
            )
            yield Finding("error", "no-identity", message, _files(unknown))
    roles = [s.role for s in x.samples("query", "gallery")]
    junk, distractors = roles.count(Role.JUNK), roles.count(Role.DISTRACTOR)
    if junk or distractors:
        counts = (
            f"{count_of(junk, 'junk image', 'junk images')} and {count_of(distractors, 'distractor', 'distractors')}"
        )
        yield Finding(
            "info", "no-identity", f"there are {counts}: junk is ignored, a distractor is always a false match"
        )


def one_person(x: ExaminedDataset) -> Iterator[Finding]:
    """Report fewer than two people in train, or in the gallery, where each distractor is another one."""
    if x.dataset.train and len(people(x.dataset.train)) < 2:
        yield Finding("error", "one-person", "train has fewer than 2 people: there is nothing to tell apart")
    gallery = x.dataset.gallery
    distractors = sum(s.role is Role.DISTRACTOR for s in gallery)
    if x.dataset.query and gallery and len(people(gallery)) + distractors < 2:
        message = "the gallery shows fewer than 2 people: there are no false matches, so that any model is perfect"
        yield Finding("error", "one-person", message)


def cameras(x: ExaminedDataset) -> Iterator[Finding]:
    """Report unknown cameras, and splits of a single camera."""
    for split in SPLITS:
        samples = x.samples(split)
        unknown = [s for s in samples if s.camid is None or s.camid < 0]
        if unknown and len(unknown) < len(samples):
            message = f"the camera is unknown for {_images(unknown)} of {len(samples):,} of {split}: name all or none"
            yield Finding("warning" if split == "train" else "error", "unknown-camera", message, _files(unknown))
        elif unknown and split != "train" and x.dataset.query:
            message = (
                f"no camera of {split} is known: evaluation needs them to ignore the query's own camera. Fix: name "
                "them (docs/data.md), or evaluate --all-cameras"
            )
            yield Finding("error", "unknown-camera", message)
        elif unknown:
            yield Finding("info", "unknown-camera", f"no camera of {split} is known")
    both = x.dataset.query and x.dataset.gallery
    if both and len({s.camid for s in x.samples("query", "gallery")} - {None}) == 1:
        message = "query and gallery are of one camera: evaluation ignores the query's own, so no match is left"
        yield Finding("error", "one-camera", message)
    if len({s.camid for s in x.dataset.train} - {None}) == 1:
        message = "train is of one camera: a model will not learn to recognize people across cameras"
        yield Finding("warning", "one-camera", message)


def lone_people(x: ExaminedDataset) -> Iterator[Finding]:
    """Report people of train with a single image, or with images of one camera only."""
    groups = _by_person(x.persons("train")).values()
    if single := [group for group in groups if len(group) < 2]:
        message = f"{_persons(len(single))} of train with a single image: no pair of images of the same person"
        yield Finding("warning", "one-image", message, _files(s for group in single for s in group))
    if len({s.camid for s in x.dataset.train} - {None}) < 2:
        return
    if alone := [g for g in groups if len(g) > 1 and len({s.camid for s in g}) == 1 and g[0].camid is not None]:
        message = f"{_persons(len(alone))} of train seen by one camera only: nothing to learn across cameras from"
        yield Finding("warning", "one-camera-person", message, _files(s for group in alone for s in group))


def unmatched_queries(x: ExaminedDataset) -> Iterator[Finding]:
    """Report queries without a valid match in the gallery."""
    lost = queries_without_match(x.dataset.query, x.dataset.gallery)
    if lost and x.dataset.gallery:
        message = (
            f"{count_of(len(lost), 'query', 'queries')} without a valid match in the gallery: "
            "their person is not there, or only from the query's own camera"
        )
        yield Finding("error", "unmatched-query", message, _files(lost))


def shared_people(x: ExaminedDataset) -> Iterator[Finding]:
    """Report people who are in train and in query or gallery."""
    train = set(people(x.dataset.train))
    if known := [s for s in x.persons("query", "gallery") if s.pid in train]:
        message = (
            f"{_persons(len(_by_person(known)))} of train also in query or gallery: an evaluation measures memory of "
            "them, not recognition of new people. Fix: if they only share a person ID, renumber them"
        )
        yield Finding("warning", "shared-person", message, _files(known))


def unreadable(x: ExaminedDataset) -> Iterator[Finding]:
    """Report files that cannot be read or decoded."""
    if bad := {path: file.problem for path, file in x.files.items() if file.problem}:
        count = count_of(len(bad), "image cannot", "images cannot")
        reasons = "; ".join(list(bad.values())[:3])
        yield Finding("error", "unreadable", f"{count} be read: {reasons}", tuple(bad))


def constant_images(x: ExaminedDataset) -> Iterator[Finding]:
    """Report images of a single color, in which there is nothing to see."""
    decoded = [file for file in x.files.values() if file.size]
    if blank := tuple(path for path, file in x.files.items() if file.constant):
        count, every = count_of(len(blank), "image is", "images are"), len(blank) == len(decoded)
        message = f"{count} of a single color: all distances between such images mean nothing"
        yield Finding(
            "error" if every else "warning", "constant", f"{message}{', and no other is left' * every}", blank
        )


def unread(x: ExaminedDataset) -> Iterator[Finding]:
    """Report files beside the images that are not read, and folders that are links."""
    found = unread_files(x.dataset)
    for reason, files in found.reasons():
        yield Finding("warning", "unread", f"not read: {reason}", files)
    if folders := found.linked:
        yield Finding(
            "info", "links", f"{count_of(len(folders), 'folder is a link', 'folders are links')}, followed", folders
        )


_TWICE: tuple[tuple[Level, str, str], ...] = (
    ("error", "duplicate-train-test", "in train and in query or gallery: the model was trained on its test images"),
    ("error", "duplicate-label", "the same image with two person IDs: one of the labels is wrong"),
    ("error", "duplicate-query-gallery", "in query and in gallery under another camera: a query finds itself"),
    ("info", "duplicate", "the same image more than once in a split"),
)


def duplicates(x: ExaminedDataset) -> Iterator[Finding]:
    """Report an image that is in two splits, twice in one, or has two person IDs.

    An image that is a query and in the gallery under one camera is none: an evaluation ignores it there.
    """
    found: dict[str, list[Sample]] = defaultdict(list)
    for group in _by_content(x).values():
        if len(group) > 1:
            splits, samples = {split for split, _ in group}, [sample for _, sample in group]
            if len(splits) == 1 or "train" in splits:
                found["duplicate" if len(splits) == 1 else "duplicate-train-test"] += samples
            if len({(s.pid, s.role) for s in samples}) > 1:
                found["duplicate-label"] += samples
    found["duplicate-query-gallery"] = [sample for pair in _self_matches(x) for sample in pair]
    for level, rule, meaning in _TWICE:
        if found[rule]:
            yield Finding(level, rule, f"{_images(found[rule])}: {meaning}", _files(found[rule]))


def _self_matches(x: ExaminedDataset) -> list[Pair]:
    """Return the queries that find themselves; by an unknown camera, they do if all cameras count."""
    query, gallery = x.dataset.query, x.dataset.gallery
    unknown = [sample for sample in query if sample.camid is None]
    return self_matches(query, gallery, x.content) + self_matches(unknown, gallery, x.content, across_cameras=False)


def _by_content(x: ExaminedDataset) -> dict[str, list[tuple[Split, Sample]]]:
    groups: dict[str, list[tuple[Split, Sample]]] = defaultdict(list)
    for split in SPLITS:
        for sample in x.samples(split):
            groups[x.content(sample)].append((split, sample))
    return groups


def sizes(x: ExaminedDataset) -> Iterator[Finding]:
    """Report images of very different sizes."""
    areas = {file.size[0] * file.size[1]: (path, file.size) for path, file in x.files.items() if file.size}
    if areas and max(areas) >= SIZE_RATIO * min(areas):
        small, large = areas[min(areas)], areas[max(areas)]
        widths = " to ".join(f"{width}×{height}" for _, (width, height) in (small, large))
        message = f"images are of very different sizes, {widths} (width×height)"
        yield Finding("info", "sizes", message, (small[0], large[0]))


RULES: tuple[Rule, ...] = (
    no_layout,
    empty_splits,
    unreadable,
    constant_images,
    unread,
    no_identity,
    one_person,
    cameras,
    unmatched_queries,
    duplicates,
    shared_people,
    lone_people,
    sizes,
)
