"""Waiting for an event: a test never sleeps for a time, it waits until something is so."""

import http.client
import time

CEILING_S = 60
STEP_S = 0.05

# What a probe may meet while the thing that it asks is starting, ending or being replaced.
PASSING_ERRORS = (OSError, http.client.HTTPException)


def wait_for(what, probe, timeout=CEILING_S, context=None):
    """Calls probe() until it returns something true, and returns that.

    `what` completes the sentence "waited in vain until ...". `context` is a function whose text
    (the end of a log, say) goes into the failure's message.
    """
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = probe()
            if last:
                return last
        except PASSING_ERRORS as error:
            last = error
        if time.monotonic() > deadline:
            break
        time.sleep(STEP_S)
    message = f"waited {timeout} s in vain until {what}; last seen: {last!r}"
    if context:
        message += "\n" + context()
    raise AssertionError(message)
