"""A gallery on disk: a folder of immutable shards and one manifest, which names them.

    NAME.gallery/
        manifest.json    what the gallery holds; replaced as a whole, and what it does not name is not there
        shards/          rows, in Arrow files that never change
        set-aside/       damaged shards, which are reported and not read
        lock, writer     the lock of the one process that writes, and its process ID
        audit.jsonl      the log of who did what, and audit.lock, the lock of the process that appends to it

A write has succeeded when the manifest that names it is on the disk: files are synchronized before it, the folder after
it. Readers hold the shards of one manifest and are not disturbed by later writes.
"""

from passerby.gallery.store.store import Store

__all__ = ["Store"]
