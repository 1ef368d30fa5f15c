"""The addresses of engines, without passwords: ``postgresql://user@host:5432/database``, ``milvus://host:19530``.

A gallery's manifest holds its engine's address, and manifests are copied and shown: passwords come from the environment
(``PGPASSWORD``, ``MILVUS_TOKEN``) or from ``~/.pgpass``, are stored nowhere and printed nowhere.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from passerby.errors import ConfigError
from passerby.gallery.engines.protocol import EngineError

_PORTS = {"postgresql": 5432, "milvus": 19530}
_FORMS = "postgresql://USER@HOST:PORT/DATABASE or milvus://HOST:PORT/DATABASE"
_MODES = ("verify", "require", "off")
_PARTS_OF_PGPASS = 5


@dataclass(frozen=True)
class Address:
    """The address of an engine."""

    kind: str
    host: str
    port: int
    database: str = ""
    user: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @property
    def tls(self) -> str:
        """The protection of the connection: ``verify``, ``require`` (encrypted, any certificate) or ``off``."""
        return self.options.get("tls", "off" if _is_own_machine(self.host) else "verify")

    @property
    def authorities(self) -> str | None:
        """The file of the certificates that are believed; ``None`` for those of the system."""
        return self.options.get("tlsrootcert")

    def tls_context(self) -> ssl.SSLContext | None:
        """Return how the connection is encrypted; ``None`` if it is not.

        Raises:
            EngineError: if the certificates cannot be read.
        """
        if self.tls == "off":
            return None
        try:
            context = ssl.create_default_context(cafile=self.authorities)
        except (OSError, ssl.SSLError) as error:
            raise EngineError(
                f"the certificates '{self.authorities}' cannot be read ({error}). Fix: name a file of PEM certificates"
            ) from None
        if self.tls == "require":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def __str__(self) -> str:
        name = f"{quote(self.user, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = f"?{urlencode(self.options)}" if self.options else ""
        return f"{self.kind}://{name}{host}:{self.port}/{quote(self.database)}{options}"


def parsed(url: str) -> Address:
    """Return an address.

    Raises:
        ConfigError: if it is none, or holds a password; the message does not show it.
    """
    try:
        parts = urlsplit(url)
        host, port, password = parts.hostname, parts.port, parts.password
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise ConfigError(f"no address of an engine ({error}). Fix: write {_FORMS}") from None
    if password is not None or any("pass" in name or "token" in name for name in options):
        variable = "MILVUS_TOKEN" if parts.scheme == "milvus" else "PGPASSWORD"
        raise ConfigError(
            "the engine's address holds a password, which would be stored in the gallery. Fix: leave it out, and set "
            f"{variable} in the environment"
        )
    if parts.scheme not in _PORTS or not host:
        raise ConfigError(f"no address of an engine: got {url!r}. Fix: write {_FORMS}")
    if unknown := sorted(set(options) - {"tls", "tlsrootcert"}):
        raise ConfigError(f"unknown option {unknown[0]!r} of the engine's address. Fix: tls=verify|require|off")
    if options.get("tls", "off") not in _MODES:
        raise ConfigError(f"tls is one of {', '.join(_MODES)}, got {options['tls']!r}. Fix: choose one of these")
    return Address(
        parts.scheme,
        host,
        port or _PORTS[parts.scheme],
        unquote(parts.path.strip("/")),
        unquote(parts.username or ""),
        options,
    )


def postgres_password(address: Address) -> str | None:
    """Return the password of a PostgreSQL server, from PGPASSWORD or the file of passwords; ``None`` if there is none.

    Raises:
        EngineError: if others may read the file of passwords.
    """
    if given := os.environ.get("PGPASSWORD"):
        return given
    file = Path(os.environ.get("PGPASSFILE", "~/.pgpass")).expanduser()
    if not file.is_file():
        return None
    if os.name != "nt" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise EngineError(f"others may read the passwords in '{file}'. Fix: chmod 600 {file}")
    wanted = (address.host, str(address.port), address.database, address.user)
    for line in file.read_text(encoding="utf-8").splitlines():
        parts = _split_escaped(line)
        if len(parts) != _PARTS_OF_PGPASS or line.startswith("#"):
            continue
        if all(each in ("*", value) for each, value in zip(parts, wanted, strict=False)):
            return parts[-1]
    return None


def _split_escaped(line: str) -> list[str]:
    r"""Return the fields of a line that colons separate; a backslash protects the next character.

    >>> _split_escaped(r"db:5432:*:me:a\:b")
    ['db', '5432', '*', 'me', 'a:b']
    """
    parts, protected = [""], False
    for character in line:
        if protected or character not in ":\\":
            parts[-1] += character
            protected = False
        elif character == "\\":
            protected = True
        else:
            parts.append("")
    return parts


def _is_own_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
