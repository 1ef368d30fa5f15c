"""``python -m passerby`` is ``passerby``."""

from __future__ import annotations

from passerby.cli import main

if __name__ == "__main__":
    main()
