"""The operator's orders carried out by a running bot (R1.1)."""

from __future__ import annotations

from holdfast.decisions.gate import OperatorState
from holdfast.engine.bot import Bot
from holdfast.engine.commands import CommandResult
from holdfast.engine.liquidation import LiquidationState


class BotCommands:
    """`engine.commands.OperatorCommands` of one bot."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def run(self, *, who: str, why: str) -> CommandResult:
        """Clear stop and kill, sync anew, then trade."""
        if self._bot.account.settings.global_kill_switch:
            message = "GLOBAL_KILL_SWITCH is set: unset it and restart before the bot may trade"
            return CommandResult(done=False, state=self._bot.account.operator.value, message=message)
        file_kill = self._bot.account.kill_ordered()
        if file_kill is not None:
            message = f"the kill file stands ({file_kill}): remove it first"
            return CommandResult(done=False, state=self._bot.account.operator.value, message=message)
        return await self._order("run", who, why)

    async def stop(self, *, who: str, why: str) -> CommandResult:
        return await self._order("stop", who, why)

    async def kill(self, *, who: str, why: str, liquidate: bool = False) -> CommandResult:
        killed = await self._order("kill", who, why)
        # Also when the kill is not written yet: closing does not wait for a disk.
        return await self.flatten(who=who, why=why) if liquidate else killed

    async def flatten(self, *, who: str, why: str) -> CommandResult:
        """Stop entries, close everything of ours, and say what came of it."""
        if self._bot.account.operator is OperatorState.RUNNING:
            await self._order("stop", who, f"flatten: {why}")
        result = await self._bot.liquidate("flatten")
        self._bot.supervisor.release()
        state = self._bot.account.operator.value
        return CommandResult(
            done=result.state is LiquidationState.COMPLETED,
            state=state,
            message=f"liquidation {result.state}",
            correlation_id=result.correlation_id,
            details={
                "state": result.state.value,
                "positions_closed": list(result.positions_closed),
                "positions_failed": list(result.positions_failed),
                "orders_cancelled": result.orders_cancelled,
                "errors": list(result.errors),
            },
        )

    async def _order(self, command: str, who: str, why: str) -> CommandResult:
        answer = await self._bot.supervisor.desk.command(command, who, why)
        expected = {"run": "running", "stop": "stopped", "kill": "killed"}[command]
        return CommandResult(done=answer == expected, state=self._bot.account.operator.value, message=answer)
