"""The one place where a listening port is taken, so that a port in use is one sentence."""

from __future__ import annotations

import errno
import socket


class PortUnusable(Exception):
    """The address cannot be listened on; the text is one sentence for the operator."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket (port 0 = any free one). Raises `PortUnusable`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        found = {
            errno.EADDRINUSE: "it is in use by another program",
            errno.EACCES: "no permission to use it",
        }.get(error.errno or 0, error.strerror or str(error))
        raise PortUnusable(f"{host}:{port}: expected a port to listen on, found: {found}") from error
    except OverflowError as error:
        raise PortUnusable(f"{host}:{port}: expected a port from 0 to 65535, found {port}") from error
