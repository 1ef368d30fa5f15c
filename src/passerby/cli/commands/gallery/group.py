"""``passerby gallery group``: propose, review and change groups of rows of one person in a gallery on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passerby.cli.gallery_options import GalleryArgument, UndoOption
from passerby.cli.options import JsonOption
from passerby.cli.registry import command
from passerby.errors import ConfigError, escape_controls

if TYPE_CHECKING:
    from passerby.gallery.feedback.groups import Grouping
    from passerby.gallery.feedback.notes import Group
    from passerby.gallery.store import Store

Numbers = list[int] | None


@command("group", group="gallery", order=10)
def group(
    gallery: GalleryArgument,
    listed: Annotated[bool, typer.Option("--list", help="List the groups, and propose none.")] = False,
    show: Annotated[int | None, typer.Option("--show", metavar="N", help="Show the rows of a group.")] = None,
    accept: Annotated[Numbers, typer.Option("--accept", metavar="N", help="Accept a group; repeatable.")] = None,
    merge: Annotated[
        Numbers, typer.Option("--merge", metavar="N", help="Make groups one, the first; repeatable.")
    ] = None,
    split: Annotated[
        int | None, typer.Option("--split", metavar="N", help="Take the rows of --row out of a group.")
    ] = None,
    row: Annotated[Numbers, typer.Option("--row", metavar="ID", help="Row for --split; repeatable.")] = None,
    dissolve: Annotated[Numbers, typer.Option("--dissolve", metavar="N", help="Remove a group; repeatable.")] = None,
    undo: UndoOption = False,
    radius: Annotated[
        float | None,
        typer.Option("--radius", help="Largest mean Jaccard distance within a proposed group (default 0.6)."),
    ] = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="Rows of one frame of one camera are different people.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find groups of rows that may be of one person, or review and change them; no person ID changes."""
    from passerby.gallery.feedback.groups import Grouping
    from passerby.gallery.store import Store

    given = {"--list": listed, "--show": show is not None, "--accept": accept, "--merge": merge}
    given |= {"--split": split is not None, "--dissolve": dissolve, "--undo": undo}
    if len(several := [name for name, value in given.items() if value]) > 1:
        raise ConfigError(f"{' and '.join(several)} are different commands. Fix: give one of them")
    if bool(row) != (split is not None):
        raise ConfigError("--split takes rows out of a group, --row names them. Fix: give both, or none")
    if several and (radius is not None or frames):
        raise ConfigError(f"--radius and --frames are about proposals, not {several[0]}. Fix: leave them out")
    groups = Grouping(Store(gallery))
    if show is not None:
        _show(groups, show, as_json=as_json)
        return
    said = _changed(groups, accept, merge, split, row, dissolve, undo=undo)
    proposal = None if several else _propose(groups, radius, frames=frames)
    if as_json:
        typer.echo(json.dumps({"gallery": str(gallery), **(proposal or {}), **_values(groups)}, indent=2))
        return
    for each in groups.all() if listed else ():
        typer.echo(_line(each))
    if proposal is not None:
        said = f"{proposal['rows']:,} rows were compared."
        if proposal["contradictions"]:
            said += (
                f" {proposal['contradictions']:,} pairs of a tracklet, a group or a confirmation cannot be of one "
                "person by another answer, or by time: they were not joined."
            )
    typer.echo(f"{said} {_summary(groups)}".strip())


def _changed(
    groups: Grouping, accept: Numbers, merge: Numbers, split: int | None, row: Numbers, dissolve: Numbers, *, undo: bool
) -> str:
    """Change groups, and return what was done; an empty text for nothing."""
    if accept:
        made = groups.accept(accept)
        return f"Accepted: {', '.join(str(each.id) for each in made)}."
    if merge:
        return f"Merged into {groups.merge(merge).id}."
    if split is not None:
        made = groups.split(split, row or ())
        return f"Split into {', '.join(str(each.id) for each in made) or 'no group'}."
    if dissolve:
        groups.dissolve(dissolve)
        return f"Dissolved: {', '.join(map(str, dissolve))}."
    return f"Undone: {groups.undo().what}." if undo else ""


def _propose(groups: Grouping, radius: float | None, *, frames: bool) -> dict[str, Any]:
    from passerby.cli.results import progress_bar
    from passerby.gallery.feedback.proposals import RADIUS

    with progress_bar("comparing", len(groups.store)) as advance:
        found = groups.propose(radius=RADIUS if radius is None else radius, frames=frames, progress=advance)
    return {"rows": found.rows, "contradictions": found.contradictions}


def _show(groups: Grouping, number: int, *, as_json: bool) -> None:
    from passerby.gallery.retention import described
    from passerby.gallery.store.where import moment_in_words

    one = groups.group(number)
    rows = described(groups.store, list(one.rows), len(one.rows))
    if as_json:
        known = [{"id": each.id, "path": each.path, "pid": each.pid, "camid": each.camid} for each in rows]
        typer.echo(json.dumps({**one.model_dump(), "rows": known}, indent=2))
        return
    typer.echo(_line(one))
    for each in rows:
        place = f"camera {'–' if each.camid is None else each.camid}"
        taken = f", {moment_in_words(each.taken)}" if each.taken is not None else ""
        typer.echo(escape_controls(f"  {each.id}: {place}{taken}, {each.path}", one_line=True))


def _line(each: Group) -> str:
    extends = f", for group {each.extends}" if each.extends is not None else ""
    return f"{each.id}: {len(each.rows):,} rows, {'accepted' if each.accepted else 'proposed'}{extends}"


def _values(groups: Grouping) -> dict[str, Any]:
    found = groups.all()
    precision, recall = _agreement(groups.store, found)
    known = {"precision": precision, "recall": recall}
    return {"groups": [each.model_dump() for each in found], "pairs_of_known_people": known}


def _summary(groups: Grouping) -> str:
    found = groups.all()
    accepted = sum(each.accepted for each in found)
    text = f"{len(found):,} groups, {accepted:,} of them accepted, of {sum(len(each.rows) for each in found):,} rows."
    precision, recall = _agreement(groups.store, found)
    if precision is not None and recall is not None:
        text += f" Of pairs of known people: precision {precision:.1%}, recall {recall:.1%}."
    return text


def _agreement(store: Store, found: Sequence[Group]) -> tuple[float | None, float | None]:
    from passerby.gallery.feedback.groups import agreement, known_people

    return agreement(found, known_people(store))
