"""What the two stacks have in common: a call, and the judgement of its outcome."""

import socket
import ssl
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import wire

# How long any step may take, in seconds, before the test fails instead of hanging.
DEADLINE = 10


@dataclass(frozen=True)
class Service:
    """A running service, as its clients find it."""

    address: str  # As its clients are told it: `unix:/path`, or `host:port` for TCP.
    root: str  # The file of the root certificate that clients pin.

    def connect(self, patience=DEADLINE):
        """A plain socket that is connected to it, and waits no longer than that for anything."""
        scheme, path = self.address.split(":", 1)
        if scheme != "unix":
            host, port = self.address.rsplit(":", 1)
            return socket.create_connection((host, int(port)), patience)
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(patience)
        try:
            plain.connect(path)
        except BaseException:
            plain.close()
            raise
        return plain


@dataclass(frozen=True)
class Identity:
    """A client certificate and its key, as files."""

    certificate: Path
    key: Path

    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())


@dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    what: str
    code: str
    message: str
    reply: dict

    def ok(self, **expected):
        """It must have succeeded, with exactly these fields in its reply; a function judges a value."""
        assert self.code == "OK", f"{self}: expected OK"
        assert self.reply.keys() == expected.keys(), f"{self}: expected {expected}"
        for name, wanted in expected.items():
            value = self.reply[name]
            assert wanted(value) if callable(wanted) else value == wanted, f"{self}: {name} is {value!r}"

    def refused(self, code, message=None, begins="", says=()):
        """It must have failed with this code, and with a message of which as much as given is fixed."""
        assert self.code == code, f"{self}: expected {code}"
        assert message is None or self.message == message, f"{self}: expected the message {message!r}"
        assert self.message.startswith(begins), f"{self}: expected it to begin {begins!r}"
        for phrase in says:
            assert phrase in self.message, f"{self}: expected it to say {phrase!r}"


class Client(ABC):
    """One connection to a service."""

    @abstractmethod
    def exchange(self, method, request):
        """Sends one request; returns the status' code by name, its message, and the replies."""

    @abstractmethod
    def close(self):
        """Ends the connection."""

    def call(self, method, **fields):
        code, message, replies = self.exchange(method, wire.encode(method, **fields))
        # Each method that is served here replies once, and one that is refused not at all.
        assert len(replies) == (1 if code == "OK" else 0), f"{method}: {code} {message!r} after {replies}"
        outcome = Outcome(method, code, message, wire.decode(method, replies[0]) if replies else {})
        print(f"{type(self).__name__}: {outcome}", flush=True)
        return outcome

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
