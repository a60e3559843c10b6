"""One node's agent while it runs."""

from __future__ import annotations

from typing import Any

from netsim.errors import SimulationError
from netsim.interfaces import (
    Agent,
    Command,
    NodeId,
    Receive,
)
from netsim.simulation.mailbox import Mailbox


class Actor:
    """One agent's coroutine, its mailbox, and what it waits for."""

    def __init__(self, node: NodeId, agent: Agent) -> None:
        self.node = node
        self.agent = agent
        self.mailbox = Mailbox()
        self.waiting: Receive | None = None
        self.finished = False
        self._coroutine = agent.run()

    def resume(self, answer: object) -> Command[Any] | None:
        """Go on with `answer` until the next command; None where the agent has returned."""
        try:
            command = self._coroutine.send(answer)
        except StopIteration:
            self.finished = True
            return None
        if not isinstance(command, Command):
            text = f"node {self.node}: an agent awaits commands of netsim.interfaces. Got {type(command).__name__}"
            raise SimulationError(text)
        return command

    def close(self) -> None:
        """End the coroutine where it stands."""
        self._coroutine.close()

    def says(self, server: NodeId) -> str:
        """What the actor waits for, in words, for a stalled run."""
        wanted, who = self.waiting, "the server" if self.node == server else f"node {self.node}"
        if wanted is None:
            return f"{who} waits for nothing"
        kind = f"{wanted.kind!r} " if wanted.kind else ""
        where = f" of round {wanted.round}" if wanted.round is not None else ""
        fits = [m for m in self.mailbox.messages if self.mailbox.fits(m, wanted)]
        here = f"has {len(fits)} (from {', '.join(str(m.src) for m in fits)})" if fits else "has none"
        others = sorted({f"{m.kind!r} of round {m.round} from {m.src}" for m in self.mailbox.messages if m not in fits})
        unread = f", unread: {'; '.join(others[:3])}" if others else ""
        plural = "" if wanted.count == 1 else "s"
        return f"{who} waits for {wanted.count} {kind}message{plural}{where} and {here}{unread}"
