"""Starts the suite's program, which would listen on every interface and on a port of its own choice: makes each server
of this process listen on the loopback interface alone, on a free port, and says which. Python 2, as the suite is."""

import sys

from autobahntestsuite import wstest
from twisted.internet import reactor

CLOSE_SECONDS = 30

listen = reactor.listenTCP


def listen_on_loopback(_port, factory, backlog=50, _interface=""):
    listener = listen(0, factory, backlog, "127.0.0.1")
    # It would give a client one second to answer a goodbye, and spend that itself on other cases of a busy machine.
    factory.setProtocolOptions(closeHandshakeTimeout=CLOSE_SECONDS)
    # It holds the port that clients name against the one of its settings.
    factory.externalPort = listener.getHost().port
    sys.stdout.write("port %d\n" % factory.externalPort)
    sys.stdout.flush()
    return listener


reactor.listenTCP = listen_on_loopback
wstest.run()
