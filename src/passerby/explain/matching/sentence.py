"""Two compared images described in one sentence, built from the values of the comparison and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from passerby.explain.format import format_number, format_probability
from passerby.explain.matching.attributes import AttributePair
from passerby.explain.matching.parts import PartDistance
from passerby.types import Verdict


class Comparison(Protocol):
    """The values from which the sentence is built."""

    @property
    def distance(self) -> float: ...
    @property
    def same_person(self) -> float | None: ...
    @property
    def verdict(self) -> Verdict | None: ...
    @property
    def false_match_rate(self) -> float | None: ...
    @property
    def stripes(self) -> tuple[PartDistance, ...]: ...
    @property
    def parts(self) -> tuple[PartDistance, ...]: ...
    @property
    def attributes(self) -> tuple[AttributePair, ...]: ...


_MOST = 4
"""The maximum number of conflicts that are named one by one."""
_ALIKE = 1e-6
"""The dissimilarity of equal parts that rounding leaves."""
_PLURAL = frozenset({"boots"})


def describe_match(found: Comparison) -> str:
    """Describe a comparison in one sentence."""
    head = _verdict(found)
    clauses = (
        _attribute_clauses(found.attributes) if found.attributes else [*_rate_clauses(found), *_part_clauses(found)]
    )
    return f"{head}: {'; '.join(clauses)}." if clauses else f"{head}."


def join_words(words: Sequence[str]) -> str:
    """Join words with commas and "and".

    >>> join_words(["a hat", "boots", "a bag"])
    'a hat, boots and a bag'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _verdict(found: Comparison) -> str:
    if found.verdict == "same file":
        return "Both are the same file"
    if found.same_person is None:
        return f"The distance is {format_number(found.distance)}, and the run has no calibration to tell what it means"
    how = format_probability(found.same_person)
    if found.verdict == "unsure":
        return f"It is not clear whether this is the same person ({how})"
    if found.verdict == "possible":
        return f"Possibly the same person ({how})"
    return f"No evidence that this is the same person ({how})"


def _rate_clauses(found: Comparison) -> list[str]:
    if found.same_person is None:
        return []
    if found.false_match_rate is None:
        return [f"the distance is {format_number(found.distance)}"]
    few = (
        f"at most 1 in {round(1 / found.false_match_rate):,} pairs of different people was as close in the calibration"
    )
    return [f"the distance is {format_number(found.distance)}, and {few}"]


def _part_clauses(found: Comparison) -> list[str]:
    parts = [part for part in found.parts if part.region]
    if len(parts) < 2:
        return []
    ordered: list[PartDistance] = sorted(parts, key=lambda part: part.dissimilarity)
    if ordered[-1].dissimilarity < _ALIKE:
        return ["no part differs"]
    near, far = ordered[0].region, ordered[-1].region
    tail = f" of {near.partition(' of ')[2]}"
    if far.endswith(tail):
        near = near.removesuffix(tail)
    where = ", counted from the top" if far.endswith(tail) else ""
    where += " and compared at the same height" if found.parts is found.stripes else ""
    return [f"the two are most alike in {near} and least in {far}{where}"]


def _attribute_clauses(attributes: Sequence[AttributePair]) -> list[str]:
    agreed = {one.group: one.a for one in attributes if one.judged == "agrees"}
    conflicts = [one for one in attributes if one.judged == "conflicts"]
    if not agreed and not conflicts:
        return ["no attribute is predicted confidently for both images"]
    return [*_agreeing(agreed), *_conflicting(conflicts)]


def _agreeing(agreed: Mapping[str, str]) -> list[str]:
    if shown := _shown(agreed):
        return [f"both seem to show {join_words(shown)}"]
    return [f"they agree in {join_words(list(agreed))}"] if agreed else []


def _conflicting(conflicts: Sequence[AttributePair]) -> list[str]:
    once = [one for one in conflicts if {one.a, one.b} == {"no", "yes"}]
    other = [one for one in conflicts if one not in once]
    clauses = []
    for place, which in (("first", "a"), ("second", "b")):
        if worn := [_thing(one.group) for one in once if getattr(one, which) == "yes"]:
            verb = "seem" if len(worn) > 1 or worn[0] in _PLURAL else "seems"
            clauses.append(f"{join_words(worn)} {verb} to be on the {place} image only")
    if other:
        named = [f"{one.group} ({one.a}, {one.b})" for one in other[:_MOST]]
        named += [f"{len(other) - _MOST} more"] if len(other) > _MOST else []
        clauses.append(f"{join_words(named)} {'differ' if len(named) > 1 else 'differs'}")
    return clauses


def _shown(agreed: Mapping[str, str]) -> list[str]:
    """Describe what both images show, without gender and age, and without what is absent."""
    left = {group: value for group, value in agreed.items() if group not in ("gender", "age")}
    upper = _joined(left.pop("length of upper", ""), left.pop("upper color", ""), noun="upper garment")
    sleeves = left.pop("sleeve length", "")
    if sleeves:
        upper = f"{upper} with {sleeves} sleeves" if upper else f"{sleeves} sleeves"
    kind = {"pants": "trousers", "dress": "dress"}.get(left.pop("type of lower", ""), "")
    lower = _joined(left.pop("length of lower", ""), left.pop("lower color", ""), kind, noun="lower garment")
    return [words for words in (upper, lower, *(_word(*one) for one in left.items())) if words]


def _joined(*words: str, noun: str) -> str:
    """Put adjectives before the noun, or before the last of them if it is a noun."""
    known = [word for word in words if word]
    if not known:
        return ""
    if known[-1] == "trousers":
        return " ".join(known)
    return _with_article(" ".join(known if known[-1] == "dress" else [*known, noun]))


def _word(group: str, value: str) -> str:
    """Describe the value of any other group; empty for what is absent."""
    if value == "yes":
        return _thing(group)
    endings = {"hair length": "hair", "shoe color": "shoes"}
    if group in endings:
        return f"{value} {endings[group]}"
    return "" if value == "no" else f"{group} {value}"


def _thing(group: str) -> str:
    return group if group in _PLURAL else _with_article(group)


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
