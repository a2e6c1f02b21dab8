"""What a bot asks its exchange before it trades: whether the key is taken, and the symbols are known.

Reads only. What an operator has to put right ends the start with one sentence, before anything is
sent that could change something. An exchange that does not answer is no reason to refuse: the bot
itself knows how to wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.cli.exits import Exit, Failure
from holdfast.domain.account import AccountConfig
from holdfast.domain.intents import Priority, Rejected, RejectReason
from holdfast.domain.symbol import Symbol
from holdfast.engine.settings import BotSettings
from holdfast.exchanges.port import Exchange, ExchangeError


async def preflight(exchange: Exchange, settings: BotSettings, holds: Callable[[], bool]) -> tuple[str, ...]:
    """Sentences that are worth a look. Raises `Failure` for what the operator has to change.

    *holds*: whether by the books something of ours is open. Then only a key that is not taken at all ends
    the start: a symbol that was delisted, or a right that was taken away, must not leave it unattended.
    """
    config = await _account(exchange, settings)
    unknown = [symbol for symbol in settings.symbols if exchange.instrument(symbol) is None]
    wrong = [*_symbols(unknown, settings), *(rights(config, settings) if config is not None else ())]
    if wrong and not holds():
        raise Failure("\n".join(wrong), Exit.BAD_USE)
    return (*wrong, *(worth_a_look(config, settings) if config is not None else ()))


async def _account(exchange: Exchange, settings: BotSettings) -> AccountConfig | None:
    """The account as it is set; None when the exchange gave no answer. Raises `Failure`, `ExchangeError`."""
    opened = False
    try:
        await exchange.open()
        opened = True
        return (await exchange.account_config(priority=Priority.OBSERVE)).value
    except ExchangeError as error:
        outcome = error.outcome
        if isinstance(outcome, Rejected) and outcome.reason is RejectReason.PERMISSION:
            told = f"{outcome.code} {outcome.message}".strip()
            words = f"keys: expected keys that {settings.exchange} takes, found them refused: {told}"
            raise Failure(words, Exit.BAD_USE) from error
        if not opened:
            raise
        return None


def _symbols(unknown: Sequence[Symbol], settings: BotSettings) -> list[str]:
    if not unknown:
        return []
    found = ", ".join(map(str, unknown))
    return [f"symbols: expected perpetual contracts that {settings.exchange} lists, found {found}"]


def rights(config: AccountConfig, settings: BotSettings) -> list[str]:
    """What the key lacks, in words."""
    if config.can_trade:
        return []
    expected = f"a key that may trade at {settings.exchange}"
    return [f"keys: expected {expected}, found one that may not (allow it at the exchange)"]


def worth_a_look(config: AccountConfig, settings: BotSettings) -> list[str]:
    """Settings of the account that keep a bot from trading, and rights that it does not need."""
    found = []
    if config.position_mode is not settings.position_mode:
        is_, wanted = config.position_mode, settings.position_mode
        found.append(
            f"the account is in {is_} mode and engine.position_mode says {wanted}: no entries until then"
        )
    if config.can_withdraw:
        said = f"{settings.exchange} says that money can be withdrawn from this account"
        found.append(f"{said}: see that its key may not, a bot never needs that right")
    return found
