"""The address of a server and the token that it asks for."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...errors import ValidationError

_TOKEN = re.compile(r"[\x21-\x7e]+")
_PORTS = {"libsql": 443, "https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A host and a port, and the way to talk to them. It holds no secret."""

    host: str
    port: int
    is_tls: bool
    path: str
    """The prefix of the server's own paths: empty, or `/` and a name."""

    @classmethod
    def parse(cls, scheme: str, location: str) -> ServerAddress:
        """Parses an address. Raises `ValidationError`, which does not repeat the address: it may hold a secret."""
        try:
            parts = urlsplit(f"{scheme}:{location}")
            host, port = parts.hostname, parts.port or _PORTS[scheme]
        except ValueError:
            raise _refused("an address such as libsql://host:port") from None
        if not host or not location.startswith("//"):
            raise _refused("an address such as libsql://host:port")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise _refused("an address without user, query or fragment; give the token as auth_token")
        return cls(host, port, scheme != "http", parts.path.rstrip("/"))

    @property
    def is_number(self) -> bool:
        """True if the host is an address and not a name."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def is_loopback(self) -> bool:
        """True if the server runs on this machine, so that nobody else can listen."""
        return ipaddress.ip_address(self.host).is_loopback if self.is_number else self.host == "localhost"

    @property
    def header(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.is_tls else "http"] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'libsql' if self.is_tls else 'http'}://{self.header}{self.path}"


def checked_token(token: str | None, address: ServerAddress) -> str | None:
    """Returns the token. Raises `ValidationError` for one that no header can carry, or that anybody could read."""
    if not token:
        return None
    if _TOKEN.fullmatch(token) is None:
        raise ValidationError("auth_token", "printable ASCII without spaces", f"{len(token)} characters")
    if not address.is_tls and not address.is_loopback:
        rule = (
            "left out for http:// beyond this machine, because it would be readable on the way; use libsql://"
        )
        raise ValidationError("auth_token", rule, "a token")
    return token


def _refused(rule: str) -> ValidationError:
    return ValidationError("database", rule, "")
