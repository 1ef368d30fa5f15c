"""``passerby gallery engine``: a database beside a gallery on disk, for one that outgrows a machine."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passerby.cli.gallery_options import GalleryArgument
from passerby.cli.options import JsonOption
from passerby.cli.registry import command
from passerby.errors import ConfigError, PasserbyError, escape_controls

if TYPE_CHECKING:
    from passerby.gallery.store import Store


class Action(str, Enum):
    """An action on an engine."""

    ATTACH = "attach"
    DETACH = "detach"
    SYNC = "sync"
    REBUILD = "rebuild"
    STATUS = "status"


@command("engine", group="gallery", order=7)
def engine(
    gallery: GalleryArgument,
    action: Annotated[
        Action, typer.Argument(metavar="ACTION", help="What to do: attach, detach, sync, rebuild or status.")
    ],
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="[ADDRESS]", help="Address for attach: postgresql://USER@HOST/DATABASE or milvus://HOST:PORT."
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Detach only, and leave what the engine holds where it is.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Attach, update or detach a database that proposes the candidates of searches."""
    from passerby.gallery.store import Store

    if (address is not None) != (action is Action.ATTACH):
        raise ConfigError("an address belongs to attach. Fix: passerby gallery engine GALLERY attach ADDRESS")
    store = Store(gallery)
    if action is Action.ATTACH and address is not None:
        brought = store.attach(address)
        typer.echo(f"{store.manifest.engine} holds {brought.added:,} rows; searches ask it.")
    elif action is Action.DETACH:
        former = store.manifest.engine
        store.detach(drop=not keep)
        typer.echo(f"{gallery} has no engine." + (f" {former} still holds its vectors." if keep else ""))
    elif action is Action.SYNC:
        brought = store.sync()
        typer.echo(f"{brought.added:,} rows were added to the engine, {brought.deleted:,} deleted from it.")
    elif action is Action.REBUILD:
        _rebuild(store)
    else:
        _show(_status(store), as_json=as_json)


def _rebuild(store: Store) -> None:
    if not (left := store.rebuild()):
        typer.echo("The engine's files were made anew, without the vectors of deleted rows.")
        return
    typer.echo("The gallery's rows in the engine were made anew. Its server may still hold vectors of deleted rows:")
    for each in left:
        typer.echo(escape_controls(f"- {each}", one_line=True))


def _status(store: Store) -> dict[str, Any]:
    if store.engine is None:
        return {"gallery": str(store.path), "engine": None}
    found: dict[str, Any] = {"gallery": str(store.path), "engine": store.engine.address, "rows": len(store)}
    try:
        found |= store.engine.status(store.manifest)
    except PasserbyError as error:
        found["problem"] = str(error)
    return found


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            typer.echo(escape_controls(f"{name.replace('_', ' ')}: {value}", one_line=True))
    if "problem" in found:
        raise typer.Exit(1)
