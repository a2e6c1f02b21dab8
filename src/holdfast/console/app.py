"""The HTTP face of a running bot (R1.1–R1.3, R5.7). Reads the one published View, orders by commands.

All endpoints are `async def`: nothing here runs in another thread, so it works in market time too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp

from holdfast.console.guard import Guard
from holdfast.console.metrics import prometheus_text
from holdfast.console.models import (
    Health,
    KillOrder,
    LogLines,
    Metrics,
    Order,
    Position,
    Positions,
    Result,
    Status,
    sync_age_ms,
)
from holdfast.domain.protocols import Clock
from holdfast.engine.commands import CommandResult, OperatorCommands
from holdfast.engine.view import View
from holdfast.runtime.logs import LineFilter, plain

SYNC_AGE_MS_MAX = 60_000
"""A bot whose last sync is older than this is not well: two flat reads of 30 s."""

Numbers = Callable[[], Mapping[str, float]]


class RecentLines(Protocol):
    """Where `/logs` reads (`runtime.logs.Logs`)."""

    def recent(self, wanted: LineFilter | None = None, limit: int = 200) -> list[dict[str, Any]]: ...


def create_app(
    views: Callable[[], View | None],
    commands: OperatorCommands,
    *,
    token: str,
    logs: RecentLines,
    clock: Clock,
    metrics: Numbers = dict,
    hosts: tuple[str, ...] = (),
) -> ASGIApp:
    """The whole HTTP interface behind its guard.

    *views* gives the newest View, None while the bot starts; *metrics* gives numbers of the process
    beside those of the View; *hosts* are host names served beside the loopback ones.
    """
    app = FastAPI(title="holdfast", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(_health(views, clock))
    app.include_router(_reading(_must(views), clock, metrics))
    app.include_router(_logs(logs))
    app.include_router(_ordering(commands))
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    return Guard(app, token=token, hosts=hosts)


async def _http_error(_request: Request, error: Exception) -> Response:
    status, detail = getattr(error, "status_code", 500), getattr(error, "detail", "")  # starlette's type
    return JSONResponse({"error": detail}, status_code=status)


async def _bad_request(_request: Request, error: Exception) -> Response:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    words = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in faults)
    return JSONResponse({"error": words}, status_code=422)


def _must(views: Callable[[], View | None]) -> Callable[[], View]:
    def view() -> View:
        found = views()
        if found is None:
            raise HTTPException(503, "the bot is starting: nothing is known yet")
        return found

    return view


def ailments(view: View, now_ms: int) -> list[str]:
    """Why a running bot is not well; empty when it is. An operator's stop or kill is no ailment."""
    age = sync_age_ms(view, now_ms)
    broken = {
        "not_synced": not view.synced,
        "sync_old": age is not None and age > SYNC_AGE_MS_MAX,
        "unprotected_positions": bool(view.unprotected),
        "critical_alert": any(alert.severity == "critical" for alert in view.alerts),
        "halted": view.mode == "halted" and view.operator_state != "killed",
    }
    return [word for word, is_broken in broken.items() if is_broken]


def _health(views: Callable[[], View | None], clock: Clock) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> Health:
        view = views()
        if view is None:
            return Health(
                status="degraded", why=["starting"], trading_mode="", state="starting", mode="",
                last_sync_age_ms=None,
            )  # fmt: skip
        why = ailments(view, clock.now_ms())
        return Health(
            status="degraded" if why else "ok",
            why=why,
            trading_mode=view.trading_mode,
            state=view.operator_state,
            mode=view.mode,
            last_sync_age_ms=sync_age_ms(view, clock.now_ms()),
        )

    return router


def _reading(view: Callable[[], View], clock: Clock, metrics: Numbers) -> APIRouter:
    router = APIRouter()

    @router.get("/api/status")
    async def status() -> Status:
        return Status.of(view(), clock.now_ms())

    @router.get("/api/bot/positions")
    async def positions() -> Positions:
        now = view()
        return Positions(
            positions=[Position.of(each) for each in now.positions],
            count=len(now.positions),
            unprotected=list(now.unprotected),
            at_ms=now.at_ms,
            last_sync_age_ms=sync_age_ms(now, clock.now_ms()),
        )

    @router.get("/api/metrics")
    async def metrics_json() -> Metrics:
        now = view()
        names = {"account": now.account_id, "exchange": now.exchange}
        numbers: dict[str, Any] = {**metrics(), **now.statistics, **now.metrics}
        return Metrics(**{**numbers, **names, "liquidation_state": now.liquidation_state})

    @router.get("/metrics")
    async def metrics_prometheus() -> Response:
        now = view()
        numbers = {**metrics(), **now.statistics, **now.metrics}
        text = prometheus_text(numbers, account=now.account_id, exchange=now.exchange)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return router


def _logs(logs: RecentLines) -> APIRouter:
    router = APIRouter()

    @router.get("/logs", response_model=LogLines)
    async def recent(
        level: Literal["", "debug", "info", "warning", "error", "critical"] = "",
        event: str = "",
        account: str = "",
        correlation_id: str = "",
        limit: Annotated[int, Query(ge=1, le=5_000)] = 200,
        format: Literal["json", "text"] = "json",  # noqa: A002 (the query's word)
    ) -> LogLines | Response:
        wanted = LineFilter(level=level, event=event, account=account, correlation_id=correlation_id)
        lines = logs.recent(wanted, limit)
        if format == "text":
            return PlainTextResponse("".join(f"{plain(line)}\n" for line in lines))
        return LogLines(lines=[{**line, "text": plain(line)} for line in lines], count=len(lines))

    return router


def _who(request: Request) -> str:
    """Who ordered it, for the audit: the name the client gives, and where it came from."""
    name = "".join(c for c in request.headers.get("x-operator", "")[:64] if c.isprintable())
    host = request.client.host if request.client else "unknown"
    return f"{name or 'api'}@{host}"


def _ordering(commands: OperatorCommands) -> APIRouter:
    router = APIRouter()

    async def answer(pending: Awaitable[CommandResult], response: Response) -> Result:
        result = Result.of(await pending)
        if not result.done:
            response.status_code = 409
        return result

    @router.post("/run")
    async def run(request: Request, response: Response, order: Order | None = None) -> Result:
        why = order.reason if order else ""
        return await answer(commands.run(who=_who(request), why=why), response)

    @router.post("/stop")
    async def stop(request: Request, response: Response, order: Order | None = None) -> Result:
        why = order.reason if order else ""
        return await answer(commands.stop(who=_who(request), why=why), response)

    @router.post("/kill")
    async def kill(request: Request, response: Response, order: KillOrder | None = None) -> Result:
        told = order or KillOrder()
        pending = commands.kill(who=_who(request), why=told.reason, liquidate=told.liquidate)
        return await answer(pending, response)

    @router.post("/flatten")
    async def flatten(request: Request, response: Response, order: Order | None = None) -> Result:
        why = order.reason if order else ""
        return await answer(commands.flatten(who=_who(request), why=why), response)

    return router
