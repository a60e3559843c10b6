"""What has arrived at one node, and how `Receive` takes it out."""

from __future__ import annotations

from netsim.interfaces import Inbox, Message, NodeId, Receive

_NOBODY = frozenset[NodeId]()
_new = tuple.__new__  # a third of the time of a named tuple's own


class Mailbox:
    """Messages and notices of silence that wait at one node.

    Public attributes: ``messages`` in order of arrival, ``silent`` by round and kind.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.silent: dict[tuple[int, str], set[NodeId]] = {}

    def put(self, message: Message) -> None:
        """Add a message that arrives."""
        self.messages.append(message)

    def put_silence(self, src: NodeId, round: int, kind: str) -> None:
        """Take a notice that `src` sends no message of this kind in `round`."""
        self.silent.setdefault((round, kind), set()).add(src)

    def silent_nodes(self, wanted: Receive) -> frozenset[NodeId]:
        """Return the nodes that said they are silent in the round and kind wanted; none where no round is wanted."""
        if not self.silent or wanted.round is None:
            return _NOBODY
        if wanted.kind is not None:
            return frozenset(self.silent.get((wanted.round, wanted.kind), ()))
        return frozenset(node for (round, _), nodes in self.silent.items() if round == wanted.round for node in nodes)

    def has(self, wanted: Receive) -> bool:
        """Return whether `take` would answer."""
        need = 1 if wanted.take == "all" else wanted.count
        silent = self.silent_nodes(wanted)
        # With many messages awaited most calls come too early: counting all is cheaper than filtering.
        if len(self.messages) + len(silent) < need:
            return False
        fits = [m for m in self.messages if self.fits(m, wanted)]
        heard = len({m.src for m in fits}) if wanted.take == "latest" else len(fits)
        return heard + len(silent) >= need

    def take(self, wanted: Receive, timed_out: bool = False) -> Inbox | None:
        """Take the answer to `wanted` out of the box; return None while messages are missing.

        Parameters
        ----------
        wanted
            See `netsim.interfaces.Receive`. ``take="all"`` is answered as soon as there is a message: the caller
            asks only once the instant is settled.
        timed_out
            Answer with what there is.
        """
        messages = self.messages
        if len(messages) == 1 == wanted.count and not self.silent:
            (message,) = messages
            round, kind = wanted.round, wanted.kind
            if (round is None or round == message.round) and (kind is None or kind == message.kind):
                self.messages = []
                return _new(Inbox, (tuple(messages), (), _NOBODY, timed_out))
        if not timed_out and not self.has(wanted):
            return None
        fits = [m for m in self.messages if self.fits(m, wanted)]
        silent = self.silent_nodes(wanted)
        if wanted.take == "latest":
            fits = list({m.src: m for m in sorted(fits, key=lambda m: m.round)}.values())
        fits.sort(key=lambda m: (m.round, m.src))
        late: list[Message] = []
        if wanted.take == "exact":
            fits = fits[: max(wanted.count - len(silent), 0)]
            late = sorted((m for m in self.messages if self._is_late(m, wanted)), key=lambda m: (m.round, m.src))
            gone = {id(m) for m in (*fits, *late)}
        else:
            fits = fits[-wanted.count :] if wanted.take == "latest" else fits
            gone = {id(m) for m in self.messages if self.fits(m, wanted)}
        self.messages = [m for m in self.messages if id(m) not in gone]
        if wanted.round is not None and self.silent:
            self.silent = {
                (round, kind): nodes
                for (round, kind), nodes in self.silent.items()
                if round > wanted.round or (round == wanted.round and wanted.kind not in (None, kind))
            }
        return Inbox(tuple(fits), tuple(late), silent, timed_out)

    @staticmethod
    def fits(message: Message, wanted: Receive) -> bool:
        """Return whether the message is of the round and kind wanted."""
        return (wanted.round is None or message.round == wanted.round) and wanted.kind in (None, message.kind)

    @staticmethod
    def _is_late(message: Message, wanted: Receive) -> bool:
        return wanted.round is not None and message.round < wanted.round and wanted.kind in (None, message.kind)
