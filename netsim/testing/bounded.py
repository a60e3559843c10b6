"""Agents that may await only so many commands, so that one that never ends is told from one that is slow."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from netsim.interfaces import Agent, Command, Context, Report
from netsim.testing.contract import ContractError


class Bounded:
    """An algorithm as it is, but for agents that are stopped after `limit` commands.

    Attributes
    ----------
    reported : the last round that each node reported an estimate of, by node.
    """

    def __init__(self, algorithm: Any, limit: int) -> None:
        self.algorithm, self.limit = algorithm, limit
        self.reported: dict[int, int] = {}
        for maker in ("server", "worker", "peer"):
            if hasattr(algorithm, maker):
                setattr(self, maker, self._making(getattr(algorithm, maker)))

    def __getattr__(self, name: str) -> Any:
        if name == "algorithm":  # pickle asks for it before it exists
            raise AttributeError(name)
        return getattr(self.algorithm, name)

    def _making(self, maker: Callable[[Context], Agent]) -> Callable[[Context], Agent]:
        return lambda ctx: BoundedAgent(maker(ctx), ctx, self)


class BoundedAgent:
    """One agent, counted."""

    def __init__(self, agent: Agent, ctx: Context, whole: Bounded) -> None:
        self.agent, self.node, self.whole = agent, ctx.node, whole
        self.who = "the server" if ctx.node == ctx.server else f"node {ctx.node}"

    def run(self) -> Coroutine[Command[Any], Any, None]:
        """Return the agent's own program with its commands counted; anything else as it is."""
        program: Any = self.agent.run()
        return self._counted(program) if hasattr(program, "send") else program

    @types.coroutine
    def _counted(self, program: Any) -> Generator[Any, Any, None]:
        go_on, command = functools.partial(program.send, None), None
        try:
            for _ in range(self.whole.limit):
                try:
                    command = go_on()
                except StopIteration:
                    return
                if isinstance(command, Report) and command.estimate is not None:
                    self.whole.reported[self.node] = command.round
                try:
                    go_on = functools.partial(program.send, (yield command))
                except Exception as error:
                    go_on = functools.partial(program.throw, error)
        finally:
            program.close()
        what = f"{self.who} awaited {self.whole.limit} commands, the last a {type(command).__name__}"
        known = f"; it reported round {self.whole.reported[self.node]}" if self.node in self.whole.reported else ""
        raise ContractError(f"{what}, and the run is not over{known}")
