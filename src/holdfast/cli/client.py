"""Talking to a running bot over its own HTTP interface, with nothing but the standard library."""

from __future__ import annotations

import getpass
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.cli.exits import Exit, Failure

READ_TIMEOUT_S = 10.0
ORDER_TIMEOUT_S = 120.0
"""An order to close everything answers when it is over."""


class BotDown(Exception):
    """Nothing answers where the bot should be."""


@dataclass(frozen=True, slots=True)
class BotClient:
    """The bot at *host*:*port*; *token* is the text of the home's `api_token`."""

    host: str
    port: int
    token: str

    def get(self, path: str) -> dict[str, Any]:
        """The answer's JSON. Raises `BotDown` or `Failure`."""
        status, body = self._ask("GET", path, None, READ_TIMEOUT_S)
        if status != http.HTTPStatus.OK:
            raise Failure(f"the bot at {self.host}:{self.port} answered {status}: {_words(body)}")
        return body

    def order(self, path: str, told: Mapping[str, object]) -> dict[str, Any]:
        """What came of an operator's order, done or refused. Raises `BotDown` or `Failure`."""
        status, body = self._ask("POST", path, told, ORDER_TIMEOUT_S)
        if status not in (http.HTTPStatus.OK, http.HTTPStatus.CONFLICT):
            raise Failure(f"the bot at {self.host}:{self.port} answered {status}: {_words(body)}")
        return body

    def _ask(
        self, method: str, path: str, told: Mapping[str, object] | None, timeout_s: float
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        headers = {"Authorization": f"Bearer {self.token}", "X-Operator": operator_name()}
        body = None
        if told is not None:
            body, headers["Content-Type"] = json.dumps(told), "application/json"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, self._decoded(answer.read())
        except TimeoutError as error:
            words = f"the bot at {self.host}:{self.port} did not answer within {timeout_s:g} s"
            raise Failure(words) from error
        except (OSError, http.client.HTTPException) as error:
            raise BotDown(f"nothing answers at {self.host}:{self.port}") from error
        finally:
            connection.close()

    def _decoded(self, body: bytes) -> dict[str, Any]:
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Failure(f"{self.host}:{self.port} is no bot of ours: expected JSON, found something else")
        return found


def _words(body: Mapping[str, Any]) -> str:
    return str(body.get("error") or body.get("message") or body)


def operator_name() -> str:
    """Who is at the keyboard, for the audit."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def not_running(home: str, error: BotDown) -> Failure:
    """The sentence for a command that needs a running bot."""
    return Failure(f"the bot of {home} is not running: {error}", Exit.FAILED)
