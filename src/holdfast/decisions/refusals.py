"""Each refusal in words with its remedy, for people (R5.3, R5.6). Docs and console read this table."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.decisions.gate import Refusal
from holdfast.domain.invariant import require

WORDS: Mapping[Refusal, str] = {
    Refusal.KILLED: "the kill switch is latched; an operator has to run the bot again",
    Refusal.STOPPED: "entries are stopped by the operator; run the bot again to trade",
    Refusal.SHUTTING_DOWN: "the bot is shutting down",
    Refusal.HALTED: "trading is halted until a person has looked at it and resumed",
    Refusal.REDUCE_ONLY: "only reducing is allowed until a person has looked at it and resumed",
    Refusal.NOT_SYNCED: "the account has not been read completely yet; this lifts by itself",
    Refusal.POSITIONS_STALE: "the last read of the positions is too old; this lifts with the next read",
    Refusal.READ_INCOMPLETE: "positions, orders or stops could not be read whole; this lifts when they are",
    Refusal.BALANCE_STALE: "the last read of the balance is too old; this lifts with the next read",
    Refusal.MARK_STALE: "the mark price is too old; this lifts with the next price",
    Refusal.CLOCK_SKEW: "our clock and the exchange's differ too much; check time synchronisation",
    Refusal.POSITION_MODE: "the account's position mode is not the configured one; change one of them",
    Refusal.MARGIN_MODE: "the symbol's margin mode is not the configured one; change one of them",
    Refusal.NO_TRADE_PERMISSION: "the key may not trade; allow trading for it at the exchange",
    Refusal.UNRESOLVED_INTENT: "an earlier order on this symbol has no proven outcome yet",
    Refusal.ALREADY_IN_POSITION: "this symbol has a position already",
    Refusal.FOREIGN_ORDER: "an order that is not ours is open on this symbol; cancel it or wait for it",
    Refusal.MAX_POSITIONS: "as many positions are open as max_positions allows",
    Refusal.DAILY_TRADE_LIMIT: "as many entries were made today as daily_trades_max allows",
    Refusal.COOLDOWN: "the last entry is less than cooldown_sec ago",
    Refusal.RATE_LIMITED: "the exchange asked us to slow down; this lifts by itself",
    Refusal.STORE_UNWRITABLE: "the journal cannot be written; check the disk",
    Refusal.TAKEN_OVER: "another instance traded this account a moment ago; this lifts within seconds",
    Refusal.DRAWDOWN: "equity fell too far; reset the peak or change the threshold",
    Refusal.ERROR_RATE: "too many order operations failed lately; look at the log",
    Refusal.UNPROTECTED: "a position of ours has no stop; this lifts when it has one or is closed",
    Refusal.NOT_TRADABLE: "the exchange does not let this symbol be traded now",
    Refusal.PRICE_OUTSIDE_COLLAR: "the price decided on, or the best one to be had, is too far from the mark",
    Refusal.QUOTE_STALE: "best bid and ask are not known or too old; this lifts with the next answer",
    Refusal.SPREAD: "best bid and ask are further apart than spread_max_ratio, or make no sense together",
    Refusal.STOP_INSANE: "the stop is missing, on the wrong side, too near, too far or behind liquidation",
    Refusal.VOLATILITY: "the market moves more per bar than volatility_max, or that is not known",
    Refusal.CORRELATION: "too correlated with an open position, or that is not known",
    Refusal.QUANTITY_BELOW_MIN: "the quantity is below the instrument's minimum",
    Refusal.NOTIONAL_BELOW_MIN: "the order's value is below the instrument's minimum",
    Refusal.ORDER_TOO_LARGE: "the order is larger than a single one may be",
    Refusal.POSITION_TOO_LARGE: "the position would be larger than allowed on one symbol",
    Refusal.EXPOSURE_TOO_LARGE: "all positions together would be larger than allowed",
    Refusal.MARGIN: "the available balance does not cover margin, fees and slippage",
    Refusal.MARK_INSANE: "the mark price is zero, not a number, or jumped; this lifts when it settles",
    Refusal.SOCKET_DOWN: "the price stream has been down for too long; this lifts when it is back",
    Refusal.EXECUTION_THROTTLE: "too many entries on this symbol in a short time; a person has to look",
    Refusal.LEVERAGE: "the leverage set at the exchange is not known or above leverage_max",
    Refusal.OFF_STEP: "the quantity is no multiple of the instrument's step",
    Refusal.WOULD_RAISE_EXPOSURE: "a closing request could open or grow a position; read positions again",
}
require(set(WORDS) == set(Refusal), "every refusal has its words")
