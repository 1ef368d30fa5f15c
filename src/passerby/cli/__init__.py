"""The command line: ``app`` builds it; ``commands`` and ``figures`` hold one command per file."""

from passerby.cli.app import app as app
from passerby.cli.app import main as main
