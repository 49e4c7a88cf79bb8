"""Acts on the signals that mlogin receives while a command runs on pipes: passes them on, or ends mlogin."""

from __future__ import annotations

import os
import signal
from contextlib import AbstractContextManager

from medusa.client.outcome import Interrupted
from medusa.client.pipes.passed_on import ENDING, OTHERS, PassedOn
from medusa.client.session.input.keyboard import KEPT_NOTICE, SUSPEND_NOTICE
from medusa.client.streams.conversation import Conversation
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.signals import FATAL, Signals
from medusa.protocol.channels.channel import Channel


class ReceivedSignals:
    """The signals that mlogin receives while a command runs on pipes.

    Args:
        delay: seconds, see PassedOn.
    """

    def __init__(self, signals: Signals, conversation: Conversation, messages: Messages, delay: float) -> None:
        self._signals, self._conversation, self._messages = signals, conversation, messages
        self._passed_on = PassedOn(delay)

    def watching(self) -> AbstractContextManager[None]:
        """Returns a context manager. Within it, the signals in OTHERS are received too."""
        return self._signals.watching(*OTHERS)

    def act(self, channel: Channel | None, now: float) -> None:
        """Takes the signals that have come, and acts on them.

        Args:
            channel: the channel of the command; None if the agent was not asked for it yet.
            now: the time in monotonic seconds.

        Raises:
            Interrupted: a signal ends mlogin.
        """
        for number in self._signals.take():
            if self._passed_on.is_double(number, now):
                continue
            if self._conversation.parted and number in ENDING:  # the command cannot be reached
                raise Interrupted(number)
            if channel is not None and (name := self._passed_on.name(number, now)):
                channel.request("signal", name=name)
            elif number in FATAL:
                raise Interrupted(number)
            elif number == signal.SIGTSTP:
                self._messages.say(KEPT_NOTICE if self._conversation.lasting else SUSPEND_NOTICE)
                with self._signals.default(signal.SIGTSTP):
                    os.kill(os.getpid(), signal.SIGTSTP)
                self._conversation.link.reset_keepalive()
            elif number == signal.SIGCONT:
                self._conversation.link.reset_keepalive()
