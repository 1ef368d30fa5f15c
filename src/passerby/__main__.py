"""``python -m passerby`` is ``passerby``; signals are in order before the first import that takes time."""

from __future__ import annotations

from passerby.interrupts import end, orderly_signals, stay_quiet


def main() -> None:
    """Run the command line."""
    try:
        with orderly_signals():
            from passerby.cli import main as run

            run()
    except KeyboardInterrupt as error:
        end(error)
    finally:
        stay_quiet()


if __name__ == "__main__":
    main()
