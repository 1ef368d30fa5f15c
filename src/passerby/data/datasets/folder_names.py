"""Folders that are no people: splits, cameras, dates, sequences and other sets of images, told by their names.

Some words are names of people, too (Val, May, Hall): they count only where every folder beside them is of a kind.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from passerby.data.datasets.layout import preview

SPLIT, CAMERA, DATE, SEQUENCE = "a split", "a camera", "a date", "a sequence"
HEAP, CLASS, BENCHMARK = "a set of images", "a class", "a dataset"
_SHOWN = 6


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SPLITS = _words(
    "train training trainset trainval test testing testset val valid validation query queries probe probes gallery "
    "galleries eval evaluation holdout enroll enrolled enrollment enrolment verify verification reference references "
    "训练 训练集 测试 测试集 验证 验证集 查询 图库 训练数据 測試 訓練 тест обучение"
)
_IMAGES = _words(
    "image images img imgs photo photos picture pictures bounding bbox bboxes box boxes crop crops set sets split data "
    "dataset new old mask masked multi single shot all of the original originals augmented augmentation raw clean "
    "cropped resized occluded occlusion partial whole full holistic"
)
_PEOPLE = _words("person persons people id ids reid v")
"""The words that may stand in the name of a split, but do not make a folder a set of images."""
_CAMERAS = _words("cam camera cameras kamera webcam ipcam cctv view viewpoint sensor ch channel")
_PLACES = _words(
    "left right front back rear side top bottom north south east west in out inside outside indoor indoors outdoor "
    "outdoors entrance exit door lobby hall gate up down upper lower corridor street parking floor room zone area "
    "rgb ir nir infrared thermal visible depth near far"
)
_DATES = _words(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec januar februar märz mai juni juli oktober dezember janvier février mars avril juin juillet "
    "août septembre octobre novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre octubre "
    "noviembre diciembre monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun montag "
    "dienstag mittwoch donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche lunes "
    "martes miércoles jueves viernes sábado domingo morning noon afternoon evening night today yesterday day days week "
    "weeks month year hour hours tag woche jour jours semaine día dia st nd rd th de"
)
_SEQUENCES = _words(
    "tracklet tracklets track tracks seq sequence sequences clip clips video videos vid scene session take part chunk "
    "batch fold frame frames segment walk recording"
)
_HEAPS = _words(
    "unknown unknowns other others misc miscellaneous unlabeled unsorted unassigned unidentified noise "
    "trash distractor distractors junk background backgrounds"
)
_CONTAINERS = _IMAGES | _words("label labels labeled detected annotations good bad tmp temp backup")
_CLASSES = _words(
    "person persons people pedestrian pedestrians human man men woman women male female boy girl child adult face body "
    "head car cars vehicle vehicles bus truck bicycle bike motorcycle rider real fake synthetic positive positives "
    "negative negatives true false yes no none"
)
_MAYBE_PEOPLE = _words("val")
_BENCHMARK = re.compile(
    r"(?:market|duke|dukemtmc|cuhk|msmt|viper|prid|mars|veri|randperson|i?lids)(?:[ _-]?(?:mtmc|reid|vid|video))*"
    r"[ _-]*v?[\d._v-]*",
    re.IGNORECASE,
)
_CAMERA_CODE = re.compile(r"c(?:am(?:era)?)?[ _-]?\d+(?:[ _-]?s(?:eq)?\d+)?", re.IGNORECASE)
_ADDRESS = re.compile(r"\d{1,3}(?:[._-]\d{1,3}){3}")
"""The IP address of a camera."""
_TRACKLET_CODE = re.compile(r"\d+c\d+t\d+", re.IGNORECASE)
_TRACK_CODE = r"(?:tracklet|track|trk|seq(?:uence)?|clip|vid(?:eo)?)[ _-]?\d+"
_PERSON_OF = re.compile(rf"(.+?)[ _-]+(?:{_CAMERA_CODE.pattern}|{_TRACK_CODE})", re.IGNORECASE)
"""The name of a person with a camera's or a track's after it."""
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_TIME = r"(?:[T _-]+\d{1,2}[-:_.h]?\d{2}(?:[-:_.m]?\d{2})?s?)?"
_DATE = re.compile(
    rf"{_YEAR}[-_. ]{_MONTH}(?:[-_. ]{_DAY}{_TIME})?|(?:{_DAY}[-_. ]{_MONTH}|{_MONTH}[-_. ]{_DAY})[-_. ]{_YEAR}{_TIME}"
    rf"|\d{{1,2}}[h:]\d{{2}}|{_YEAR}[-_. ]?W\d{{2}}(?:[-_. ]?[1-7])?",
    re.IGNORECASE,
)
_DATE_OR_NUMBER = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[T _-]?\d{4,6})?"
    r"|(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)\d\d"  # day first
    r"|1[4-9]\d{8}(?:\d{3})?"  # seconds or milliseconds since 1970
    r"|(?:[01]\d|2[0-3])[-_.](?:00|15|30|45)"  # the time of day
)
_PERSON_FIRST = tuple(
    re.compile(rf"{pattern}(?:\.\w+)+", re.IGNORECASE)
    for pattern in (r"(-1|\d+)_c\d+s\d+_\d+_\d+", r"(\d+)_c\d+_f\d+", r"(\d+)_c\d+_\d{8}_\d+", r"(\d{4})c\d+t\d+f\d+")
)
"""The names of images of Market-1501, DukeMTMC-reID, VeRi and MARS, which begin with the person."""


class Kind(NamedTuple):
    """The kind of a folder that is no person."""

    what: str
    sure: bool
    """A flag of names that no person has; else the folder may be a person's."""


def kind_of(folder: str) -> Kind | None:
    """Return the kind of folder that a name says; ``None`` if it may be any person's.

    >>> kind_of("image_query"), kind_of("Cam-A"), kind_of("2024-01-05"), kind_of("ann")
    (Kind(what='a split', sure=True), Kind(what='a camera', sure=True), Kind(what='a date', sure=True), None)
    >>> kind_of("May")
    Kind(what='a date', sure=False)
    """
    if _CAMERA_CODE.fullmatch(folder) or _ADDRESS.fullmatch(folder):
        return Kind(CAMERA, sure=True)
    if _DATE.fullmatch(folder):
        return Kind(DATE, sure=True)
    if _DATE_OR_NUMBER.fullmatch(folder):
        return Kind(DATE, sure=False)
    if _TRACKLET_CODE.fullmatch(folder):
        return Kind(SEQUENCE, sure=True)
    if _BENCHMARK.fullmatch(folder):
        return Kind(BENCHMARK, sure=False)
    parts = re.findall(r"[^\W\d_]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1 \2", folder))
    words = [part.lower() for part in parts if not part.isdigit()]
    return _kind_of_words(words, numbered=len(words) < len(parts)) if words else None


def _kind_of_words(words: Sequence[str], *, numbered: bool) -> Kind | None:
    has, only = set(words).intersection, set(words).issubset
    if has(_SPLITS) and only(_SPLITS | _IMAGES | _PEOPLE):
        return Kind(SPLIT, sure=not only(_MAYBE_PEOPLE))
    rest = [word for word in words if word not in _CAMERAS and word not in _PLACES and len(word) > 1]
    if has(_CAMERAS) and not has(_PEOPLE):
        return Kind(CAMERA, sure=not rest and (numbered or not only(_CAMERAS)))
    if has(_PLACES) and not rest:
        return Kind(CAMERA, sure=False)
    if has(_HEAPS) and only(_HEAPS | _IMAGES | _PEOPLE):
        return Kind(HEAP, sure=True)
    for what, known in ((DATE, _DATES), (SEQUENCE, _SEQUENCES), (HEAP, _CONTAINERS)):
        if only(known):
            return Kind(what, sure=numbered)
    return Kind(CLASS, sure=False) if only(_CLASSES) and not numbered else None


def no_people(folders: Iterable[str]) -> str | None:
    """Return what is wrong if folders that should be one person each are something else; ``None`` if nothing is.

    >>> no_people(["cam_a", "cam_b"])
    "'cam_a', 'cam_b' (named like a camera)"
    >>> no_people(["ann", "may"]) is None
    True
    """
    names = sorted(set(folders))
    kinds = {name: kind for name in names if (kind := kind_of(name))}
    if any(kind.sure for kind in kinds.values()) or len(names) == len(kinds) > 1:
        return named_kinds(kinds)
    by_person: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if match := _PERSON_OF.fullmatch(name):
            by_person[match[1]].append(name)
    shared = [group for group in by_person.values() if len(group) > 1]
    return (
        f"{_quoted(shared[0])} (named like one person under several cameras or in several tracks)" if shared else None
    )


def named_kinds(folders: Iterable[str]) -> str:
    """Return folders as text, with what their names say; those that say nothing are left out."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(folders)):
        if kind := kind_of(name):
            by_kind[kind.what].append(name)
    return ", ".join(f"{_quoted(names)} (named like {what})" for what, names in by_kind.items())


def several_people(names: Iterable[str]) -> str | None:
    """Return a folder whose images are named as of several people, in a benchmark's way; ``None`` if there is none."""
    first: dict[str, str] = {}
    for name in names:
        folder, _, base = name.rpartition("/")
        for pattern in _PERSON_FIRST:
            if (match := pattern.fullmatch(base)) and first.setdefault(folder, match[1]) != match[1]:
                return folder
    return None


def _quoted(names: Sequence[str]) -> str:
    return preview(map(repr, names), shown=_SHOWN)
