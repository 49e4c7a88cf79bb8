from __future__ import annotations

from medusa.protocol.keepalive import LOST_AFTER, Keepalive, Verdict

OK, PING, LOST = Verdict.OK, Verdict.PING, Verdict.LOST


def test_a_silent_peer_is_pinged_twice_then_lost() -> None:
    keepalive = Keepalive(15, 100.0)
    verdicts = {now: keepalive.check(now) for now in (100, 114.9, 115, 116, 129.9, 130, 144.9)}
    assert verdicts == {100: OK, 114.9: OK, 115: PING, 116: OK, 129.9: OK, 130: PING, 144.9: OK}
    assert keepalive.check(145) is LOST
    assert LOST_AFTER == 3


def test_a_caller_that_was_suspended_pings_before_it_gives_up() -> None:
    keepalive = Keepalive(15, 0)
    assert keepalive.check(15) is PING
    verdicts = {now: keepalive.check(now) for now in (1000, 1014, 1015)}
    assert verdicts == {1000: PING, 1014: OK, 1015: LOST}


def test_what_is_sent_is_no_sign_of_the_peers_life() -> None:
    keepalive = Keepalive(15, 0)
    keepalive.sent(14)
    assert keepalive.check(15) is PING


def test_an_idle_sender_pings_a_peer_that_talks() -> None:
    keepalive = Keepalive(15, 0, idle_sender=True)
    keepalive.received(10)
    assert keepalive.deadline() == 15
    assert keepalive.check(15) is PING
    keepalive.received(29)
    assert keepalive.check(29.9) is OK
    assert keepalive.check(30) is PING


def test_an_idle_sender_that_sends_still_pings_a_silent_peer_and_gives_it_up() -> None:
    keepalive = Keepalive(15, 0, idle_sender=True)
    verdicts = []
    for now in range(1, 46):
        keepalive.sent(now)
        verdicts.append(keepalive.check(now))
    assert [now for now, verdict in enumerate(verdicts, 1) if verdict is PING] == [15, 30]
    assert verdicts[-1] is LOST


def test_a_peer_under_suspicion_is_pinged_at_once_and_has_less_time() -> None:
    keepalive = Keepalive(15, 0, idle_sender=True)
    keepalive.suspect(1, 6)
    keepalive.suspect(5, 6)  # changes nothing
    assert (keepalive.deadline() <= 1, keepalive.limit) == (True, 6)
    keepalive.alive_since(0, 1)  # a ping may be stuck behind data
    assert [keepalive.check(now) for now in (1, 1.1, 6.9, 7)] == [PING, OK, OK, LOST]


def test_a_sign_of_life_ends_the_suspicion() -> None:
    keepalive = Keepalive(15, 0)
    keepalive.suspect(1, 6)
    assert keepalive.check(1) is PING
    keepalive.received(6)
    assert (keepalive.check(7), keepalive.deadline(), keepalive.limit) == (OK, 21, 45)
    keepalive.suspect(8, 6)
    assert [keepalive.check(now) for now in (8, 1000, 1001, 1014, 1015)] == [PING, PING, OK, OK, LOST]  # suspended


def test_a_peer_may_have_to_answer_each_ping_in_time() -> None:
    keepalive = Keepalive(15, 0, idle_sender=True, answer_timeout=6)
    keepalive.received(10)
    assert [keepalive.check(now) for now in (15, 20.9)] == [PING, OK]
    keepalive.received(20.9)
    assert [keepalive.check(now) for now in (21, 30, 35.9, 36)] == [OK, PING, OK, LOST]
