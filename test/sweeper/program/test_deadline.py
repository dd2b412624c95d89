"""A deadline ends what it is for, and nothing else: what comes after it expects no `Late`, and the process would end."""

import signal
import time

import deadline
import pytest
from deadline import Late, within

# Several times as long as an alarm takes to come again.
LONG = 0.5


def test_a_deadline_that_passes_while_it_is_left_does_no_harm(monkeypatch):
    set_timer = signal.setitimer

    def with_an_alarm(which, seconds, interval=0.0):
        if seconds == 0:
            signal.raise_signal(signal.SIGALRM)
        set_timer(which, seconds, interval)

    monkeypatch.setattr(deadline.signal, "setitimer", with_an_alarm)
    with within(60):
        pass
    time.sleep(LONG)


def test_an_alarm_after_a_deadline_does_no_harm():
    with within(60):
        pass
    # As one does that was on its way.
    signal.raise_signal(signal.SIGALRM)


def test_what_is_late_is_so_once_if_its_deadline_was_never_left():
    """Python may raise it after the last line of the body and before `__exit__`."""
    kept = within(0.05)

    def body():
        kept.__enter__()
        time.sleep(LONG)

    with pytest.raises(Late):
        body()
    time.sleep(LONG)
    with pytest.raises(Late):
        with within(0.05):
            time.sleep(LONG)
    time.sleep(LONG)


def test_the_innermost_deadline_counts():
    with within(60):
        with pytest.raises(Late, match="0.05 s"):
            with within(0.05):
                time.sleep(LONG)
        time.sleep(LONG)
