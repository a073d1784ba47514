"""Reads one secret over and over as a consumer without keyward would, and says what it saw.

Standard output has a line of JSON for each change, never a value:

    {"value": "<SHA-256 of the value, in hex>"}
    {"none": true}                                there is no value
    {"error": "<class of the error>"}
    {"reads": 1234}                               the last line, after SIGTERM

A reader whose parent is gone, or that has read for ten minutes, ends by itself.
"""

import hashlib
import json
import os
import signal
import time

LONGEST = 600


class NoValue(Exception):
    """The store answered that there is none."""


def hashed(value):
    if isinstance(value, str):
        value = value.encode()
    return {"value": hashlib.sha256(value).hexdigest()}


def observe(read):
    try:
        return hashed(read())
    except NoValue:
        return {"none": True}
    except Exception as error:
        # The message may hold anything; the class holds no value.
        return {"error": getattr(error, "code", None) or type(error).__name__}


def say(line):
    print(json.dumps(line), flush=True)


def watch(read):
    """Calls read() until told to stop. It returns the value, or raises NoValue or any other error."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    parent, end, seen, reads = os.getppid(), time.monotonic() + LONGEST, None, 0
    while not stopped and os.getppid() == parent and time.monotonic() < end:
        found = observe(read)
        reads += 1
        if found != seen:
            say(found)
            seen = found
    say({"reads": reads})
