"""A connection to PostgreSQL by pg8000, whose errors are those of engines."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import Any

from passerby.errors import first_line
from passerby.gallery.engines.address import Address, postgres_password
from passerby.gallery.engines.protocol import EngineError

_CONNECT = 5.0
"""The seconds to wait for a connection."""


class Session:
    """A connection.

    Args:
        address: the server.
        patience: the seconds to wait for an answer; ``None`` for as long as it takes.

    Raises:
        EngineError: if there is no connection, the driver is not installed, or passwords or certificates cannot be
            read.
    """

    def __init__(self, address: Address, *, patience: float | None) -> None:
        try:
            import pg8000.native as driver
        except ImportError:
            raise EngineError(
                "a gallery with a PostgreSQL engine needs the package pg8000. Fix: pip install 'passerby[postgres]'"
            ) from None
        self._address, self._errors = address, (driver.Error, OSError)
        self.lost = False
        """A flag of a connection that is no more, as of a server that was started again."""
        context = address.tls_context()
        try:
            self._connection = driver.Connection(
                address.user or "postgres",
                host=address.host,
                port=address.port,
                database=address.database or None,
                password=postgres_password(address),
                timeout=_CONNECT,
                ssl_context=False if context is None else context,
                application_name="passerby",
            )
        except self._errors as error:
            raise self._failure(error) from None
        self._connection._usock.settimeout(patience)
        self.close = weakref.finalize(self, _end, self._connection, self._errors)
        """Close the connection, as happens when nothing uses it any more."""

    def run(self, statement: str, **values: Any) -> list[list[Any]]:
        """Return the rows that a statement gives."""
        try:
            return self._connection.run(statement, **values) or []
        except self._errors as error:
            self.lost = not _is_of_server(error)
            raise self._failure(error) from None

    def value(self, statement: str, **values: Any) -> Any:
        """Return the first value that a statement gives; ``None`` if there is no row."""
        found = self.run(statement, **values)
        return found[0][0] if found else None

    def _failure(self, error: Exception) -> EngineError:
        facts = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        return EngineError(
            f"{self._address} does not answer as it should: {facts.get('M') or first_line(error)}. "
            f"Fix: {_FIXES.get(str(facts.get('C', ''))[:2], 'check that the server runs, its address and its rights')}"
        )


def _end(connection: Any, errors: tuple[type[Exception], ...]) -> None:
    with suppress(*errors):  # one that is lost needs no farewell
        connection.close()


_FIXES = {
    "28": "set the password in PGPASSWORD or ~/.pgpass, and name the user: postgresql://USER@HOST/DATABASE",
    "42": "grant the user CREATE on the database; an administrator runs CREATE EXTENSION vector",
    "53": "give the server room or connections",
    "0A": "install pgvector on the server",
    "25": "write to the primary; a read replica serves searches only",
}
"""The fixes by the class of PostgreSQL's error codes."""


def _is_of_server(error: Exception) -> bool:
    """Return whether the server has answered with an error, so that the connection lives."""
    return (
        bool(error.args) and isinstance(error.args[0], dict) and not str(error.args[0].get("C", "")).startswith("57P")
    )
