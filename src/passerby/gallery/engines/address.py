"""The addresses of engines, without passwords: ``postgresql://user@host:5432/database``, ``milvus://host:19530``.

A gallery's manifest holds its engine's address, and manifests are copied and shown: passwords come from the environment
(``PGPASSWORD``, ``MILVUS_TOKEN``) or from ``~/.pgpass``, are stored nowhere and printed nowhere.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from passerby.errors import ConfigError
from passerby.gallery.engines.protocol import EngineError

_PORTS = {"postgresql": 5432, "milvus": 19530}
_FORMS = "postgresql://USER@HOST:PORT/DATABASE or milvus://HOST:PORT/DATABASE"
_ADDRESS = re.compile(
    r"(?P<kind>postgresql|milvus)://(?:(?P<user>[^\s:/?#@\[\]]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:/(?P<database>[^\s?#@]*))?(?:\?(?P<options>[^\s?#@]*))?"
)
_MOST_PORT = 65_535
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
        ConfigError: if it is none, or holds a password. No message shows any of it: a password may stand anywhere.
    """
    found = _ADDRESS.fullmatch(url)
    user = unquote(found["user"] or "") if found else ""
    if ":" in user or (found is None and "@" in url):
        variable = "MILVUS_TOKEN" if url.startswith("milvus") else "PGPASSWORD"
        raise ConfigError(
            "the engine's address seems to hold a password, which would be stored in the gallery. Fix: leave it out, "
            f"set {variable} in the environment, and write {_FORMS}, other characters as %40 (@), %3A (:), %2F (/)"
        )
    if found is None or not (host := found["host"].strip("[]").lower()) or int(found["port"] or 1) > _MOST_PORT:
        raise ConfigError(f"no address of an engine. Fix: write {_FORMS}")
    kind = found["kind"]
    port, database = int(found["port"] or 0) or _PORTS[kind], unquote((found["database"] or "").strip("/"))
    return Address(kind, host, port, database, user, _options(found["options"] or ""))


def _options(text: str) -> dict[str, str]:
    """Return the options of an address."""
    try:
        options = dict(parse_qsl(text, strict_parsing=bool(text)))
    except ValueError:
        options = {"": ""}
    if set(options) - {"tls", "tlsrootcert"}:
        raise ConfigError(
            "unknown option of the engine's address. Fix: write tls=verify|require|off or tlsrootcert=FILE; passwords "
            "come from PGPASSWORD or MILVUS_TOKEN in the environment"
        )
    if options.get("tls", "off") not in _MODES:
        raise ConfigError(f"tls is one of {', '.join(_MODES)}. Fix: choose one of these")
    return options


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
