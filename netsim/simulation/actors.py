"""One node's agent while it runs."""

from __future__ import annotations

from typing import Any

from netsim.errors import NetsimError, SimulationError, words_of
from netsim.interfaces import Agent, Command, Encode, Inbox, NodeId, Receive, Report, Send, Silent
from netsim.registry import place
from netsim.simulation.mailbox import Mailbox

BLOCKED = object()  # what answers a command where the agent has to wait
_OF_A_ROUND = frozenset({Send, Silent, Receive, Report, Encode})


class Actor:
    """One agent's coroutine, its mailbox, and what it waits for.

    Attributes
    ----------
    waiting : what it receives, while it waits for that.
    waits : how many times it has waited to receive something.
    finished : whether it has returned or is dead.
    round : of its last command that has one, or of the newest message that it received since.
    """

    def __init__(self, node: NodeId, agent: Agent) -> None:
        self.node = node
        self.agent = agent
        self.mailbox = Mailbox()
        self.waiting: Receive | None = None
        self.waits = 0
        self.finished = False
        self.round: int | None = None
        self._coroutine = agent.run()
        if not hasattr(self._coroutine, "send"):
            got = type(self._coroutine).__name__
            raise SimulationError(f"node {node}: run of {type(agent).__name__} must be an async def. It returns {got}")
        self._go_on = self._coroutine.send

    def resume(self, answer: object) -> Command[Any] | None:
        """Go on with `answer` until the next command; None where the agent has returned, which then is `finished`.

        An answer that is an error is raised where the agent awaits it.

        Raises
        ------
        SimulationError
            If the agent raises an error, which is then the cause.
        """
        try:
            if answer is None:
                command = self._go_on(None)
            elif isinstance(answer, Exception):
                command = self._coroutine.throw(answer)
            else:
                if type(answer) is Inbox and answer.messages:
                    self.round = answer.messages[-1].round
                command = self._go_on(answer)
        except StopIteration:
            self.finished = True
            return None
        except (Exception, SystemExit) as error:
            raise self.failure(error) from error
        if type(command) in _OF_A_ROUND:
            round = command.round  # type: ignore[attr-defined]
            if round is not None:
                self.round = round
        return command

    def refusal(self, command: object, driver: str) -> SimulationError:
        """Return the error of an agent that awaits what its driver does not know."""
        kind = type(command).__name__
        if isinstance(command, Command):
            return SimulationError(f"node {self.node}: {driver} knows no command {kind}")
        return SimulationError(f"node {self.node}: an agent awaits commands of netsim.interfaces. Got {kind}")

    def failure(self, error: BaseException) -> SimulationError:
        """Return what an error of the agent is to the run: node, round, file and line.

        The round is that of the last command that had one or of the newest message received since.
        """
        where = f"node {self.node}" + ("" if self.round is None else f", round {self.round}")
        what = words_of(error) if isinstance(error, NetsimError) else f"{type(error).__name__}: {words_of(error)}"
        what = f"sys.exit({error.code!r}) was called" if isinstance(error, SystemExit) else what
        return SimulationError(f"{where}: {what} ({place(error, type(self.agent).__module__)})")

    def close(self) -> None:
        """End the coroutine where it stands."""
        self._coroutine.close()

    def __del__(self) -> None:
        # Where a run fails before its clock starts, Python would warn of a coroutine that was never awaited.
        close = getattr(getattr(self, "_coroutine", None), "close", None)
        if close is not None:
            close()

    def says(self, server: NodeId) -> str:
        """Describe the command that the actor waits for, for the message of a stalled run."""
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
