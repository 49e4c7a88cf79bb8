"""Holds all streams of the agent. A stream whose link is lost is kept for a while, so that the client can resume it."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional

from agent.poller import earliest
from agent.process.commands import Commands
from agent.process.context import Context
from agent.streams.shared import Shared
from agent.streams.speaker import StreamSpeaker
from medusa.protocol.resume.offer import StreamOffer
from medusa.transports.link import Link

MAX_PARKED = 64
"""The most streams without a link that are kept."""


class Streams:
    """All streams of the agent, by their ids.

    Attributes:
        keeps: True if a stream is kept after its link is lost. False if no client could come back to it.
    """

    def __init__(self, commands: Commands, shared: Shared) -> None:
        self._commands, self._shared = commands, shared
        self._known: Dict[str, StreamSpeaker] = {}
        self.keeps = False
        shared.parked = lambda: [stream.kept_until for stream in self.parked]

    def take_up(
        self, offer: StreamOffer, link: Link, context: Context, close: Callable[[str, str], None]
    ) -> Optional[StreamSpeaker]:
        """Returns the stream that the client offers to use: a new one or the one to resume. It uses `link` from now on.

        Returns None if the stream to resume does not exist any more, or cannot go on. Also returns None for a late
        offer, which comes over a link that the client has already lost. An offer is late in these cases:

        - It has a smaller number than an earlier offer of the stream.
        - It offers a new stream, and the client has already sent bytes on a stream of this id.

        Args:
            offer: the client's offer, with the id of the stream.
            context: its function `log` logs lines about a new stream.
            close: a function that closes the link. Its arguments are a text for the log, and the reason for the peer.
        """
        found = self._known.get(offer.id)
        if found is not None and 0 < offer.number < found.number:
            return None
        if not offer.resume:
            if found is not None and found.received:
                return None
            if found is not None:
                self._begun_anew(found)
            found = StreamSpeaker(self._commands, context, self._shared, self._keep, self._forget)
            self._known[offer.id] = found
        if found is None or found.use(link, close, offer):
            return found
        if not offer.resume:  # the offer contradicts itself: it says that bytes of a new stream have arrived
            self._forget(found)
        return None

    @property
    def parked(self) -> List[StreamSpeaker]:
        """The streams that have no link and are kept, in the order in which they lost their links."""
        found = [stream for stream in self._known.values() if stream.parked_since is not None]
        found.sort(key=lambda stream: stream.parked_since or 0.0)
        return found

    @property
    def needed(self) -> bool:
        """True if a stream without a link still runs something for its client, or has something left to tell it."""
        return any(stream.needed for stream in self.parked)

    @property
    def doubt_at(self) -> Optional[float]:
        """The first time at which the link of one of the streams becomes doubtful; None for never."""
        return earliest(stream.doubt_at for stream in self._known.values())

    @property
    def kept_until(self) -> List[float]:
        """For each stream without a link that is still needed, the time until which it is kept."""
        return [stream.kept_until for stream in self.parked if stream.needed]

    def deadline(self) -> Optional[float]:
        """Returns the time at which to call `expire`; None if no stream has to expire."""
        return min([stream.kept_until for stream in self.parked], default=None)

    def expire(self, now: float) -> None:
        """Ends each stream that has been without a link for longer than its client has asked to keep it."""
        for stream in self.parked:
            if now >= stream.kept_until:
                stream.give_up("nobody came back for %d s" % stream.keep)

    def end_parked(self, words: str) -> None:
        """Ends the streams that have no link. `words` say why, for the log."""
        for stream in self.parked:
            stream.give_up(words)

    def _begun_anew(self, stream: StreamSpeaker) -> None:
        """Notes that the client will not come back to `stream`, because it begins a new stream with the same id.

        If `stream` has no link, ends it at once.
        """
        if stream.parked_since is not None:
            stream.give_up("the client began anew")
        stream.keep = 0

    def _keep(self) -> bool:
        """Makes room for one more stream without a link. Returns False if such streams are not kept."""
        parked = self.parked
        if self.keeps and len(parked) >= MAX_PARKED:
            parked[0].give_up("%d streams have lost their links after this one" % MAX_PARKED)
        return self.keeps

    def _forget(self, stream: StreamSpeaker) -> None:
        self._known = {name: known for name, known in self._known.items() if known is not stream}
