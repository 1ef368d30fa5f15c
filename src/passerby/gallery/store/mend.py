"""The lost shards whose files are back: they are taken into the gallery again, if their digests are right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from passerby.gallery.audit import Act
from passerby.gallery.store.manifest import SHARDS, LostShard, Manifest, ShardEntry
from passerby.gallery.store.shard import DamagedShardError, Shard
from passerby.gallery.store.table import plain_of
from passerby.gallery.store.writer import Writer


def are_back(folder: Path, manifest: Manifest) -> list[LostShard]:
    """Return the lost shards whose files are among the shards again, whatever they hold."""
    return [lost for lost in manifest.lost if lost.entry is not None and (folder / SHARDS / lost.name).is_file()]


def take_back(writer: Writer, shards: Sequence[Shard]) -> int:
    """Take lost shards into the gallery again, where files with their digests are back; return their number of rows.

    Rows whose images were added again since then are left out.

    Args:
        shards: the shards of the writer's manifest.
    """
    rows = 0
    present = list(shards)
    for lost in are_back(writer.folder, writer.manifest):
        try:
            assert lost.entry is not None
            back = Shard(writer.folder / SHARDS, lost.entry)
            back.check()
        except (DamagedShardError, OSError):  # it is reported as before
            continue
        entries, kept = _with(writer, present, back)
        others = [each for each in writer.manifest.lost if each != lost]
        gone = [f"{SHARDS}/{lost.name}"] if lost.name not in {entry.name for entry in entries} else []
        writer.commit(entries, lost=others, replaced=gone, back=kept > 0, act=Act("take back"), rows=kept)
        known = {shard.entry.name: shard for shard in [*present, back]}
        present = [known.get(entry.name) or Shard(writer.folder / SHARDS, entry) for entry in entries]
        rows += kept
    return rows


def _with(writer: Writer, shards: Sequence[Shard], back: Shard) -> tuple[list[ShardEntry], int]:
    """Return the shards with one more, by the IDs of their rows, and how many rows that adds."""
    contents = [shard.column("content") for shard in shards]
    known = pc.is_in(back.column("content"), value_set=pa.chunked_array(contents, pa.binary(32)).combine_chunks())
    kept = len(back) - int(pc.sum(known).as_py() or 0)
    if not kept:
        return [shard.entry for shard in shards], 0
    between = [shard for shard in shards if shard.ids[-1] > back.ids[0] and shard.ids[0] < back.ids[-1]]
    if kept == len(back) and not between:
        new = [back.entry]
    else:
        for shard in between:
            shard.check()
        tables = [plain_of(shard.batch) for shard in between]
        new = writer.write_rows(
            pa.concat_tables([*tables, plain_of(back.batch).filter(pc.invert(known))]).sort_by("id")
        )
    before = [shard.entry for shard in shards if shard not in between and shard.ids[-1] < back.ids[0]]
    after = [shard.entry for shard in shards if shard not in between and shard.ids[0] > back.ids[-1]]
    return [*before, *new, *after], kept
