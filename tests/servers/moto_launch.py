"""moto's server, with what the tests need of it put right.

Usage: moto_launch.py PORT [--fix-current]

One request at a time: moto walks plain dicts while other requests change them, and then answers 500.
--fix-current: the current version is the one labelled AWSCURRENT, as AWS documents. moto 5.2.5 goes on
returning the version that was current before the label was moved.
"""

import signal
import sys
import threading

from moto.moto_server import werkzeug_app as moto
from werkzeug.serving import run_simple


def one_at_a_time(app):
    turn = threading.Lock()

    def in_turn(environ, start_response):
        with turn:
            # Moto may work while its answer is read, so the answer is read here.
            return [b"".join(app(environ, start_response))]

    return in_turn


def fix_current():
    from moto.secretsmanager.models import FakeSecret

    def current(secret):
        for version, held in secret.versions.items():
            if "AWSCURRENT" in held["version_stages"]:
                return version
        return None

    # Moto also writes the attribute; what it writes is the stale answer.
    FakeSecret.default_version_id = property(current, lambda secret, version: None)


def main(port, *flags):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if "--fix-current" in flags:
        fix_current()
    app = moto.DomainDispatcherApplication(moto.create_backend_app)
    run_simple("127.0.0.1", int(port), one_at_a_time(app), threaded=True, request_handler=moto.MotoRequestHandler)


if __name__ == "__main__":
    main(*sys.argv[1:])
