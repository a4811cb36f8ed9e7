"""A thousand strangers of one kind, of four users, who stay as long as they are let. Needs root, to be them.

    flood.py --address A --root R --first-user 3000 --kind pinging --count 1000

Whatever the service does to them is no error. When all have come it prints `here`, and goes when its input ends.
"""

import argparse
import encodings.idna  # noqa: F401 - loaded at need otherwise, by a user who may not be able to read it.
import os
import resource
import ssl
import sys

from client import Service

USERS = 4
# How long a stranger waits for a service that does not read, in seconds.
PATIENCE = 1

# A record of TLS 1.0, for the sake of old servers, with a ClientHello of which this is the beginning.
HALF_A_HELLO = bytes([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3])

# HTTP/2 (RFC 9113): the preface, settings that allow the service to send much, and frames.
SETTINGS, HEADERS, RST_STREAM, PING, WINDOW_UPDATE = 4, 1, 3, 6, 8
END_HEADERS, END_STREAM_AND_HEADERS = 4, 5
LARGE = 0x7FFF0000


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


PREFACE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + frame(SETTINGS, 0, 0, (4).to_bytes(2, "big") + LARGE.to_bytes(4, "big"))
    + frame(WINDOW_UPDATE, 0, 0, LARGE.to_bytes(4, "big"))
)


def calls(number, path=b"/multipass.Rpc/list", flags=END_STREAM_AND_HEADERS):
    # POST, https, and then names of the static table (RFC 7541, appendix A) with plain values.
    call = (
        b"\x83\x87\x04"
        + bytes([len(path)])
        + path
        + b"\x01\x09localhost\x0f\x10\x10application/grpc\0\x02te\x08trailers"
    )
    return [frame(HEADERS, flags, 2 * index + 1, call) for index in range(number)]


def slow_reading():
    """Calls, and reads none of the answers."""
    return PREFACE + b"".join(calls(120))


def resetting():
    """Calls, and takes each back at once (CVE-2023-44487)."""
    cancel = (8).to_bytes(4, "big")
    pairs = (call + frame(RST_STREAM, 0, 2 * index + 1, cancel) for index, call in enumerate(calls(400)))
    return PREFACE + b"".join(pairs)


def pending():
    """Begins calls that anyone may make, and never finishes one."""
    return PREFACE + b"".join(calls(128, b"/multipass.Rpc/authenticate", END_HEADERS))


def pinging():
    return PREFACE + frame(PING, 0, 0, b"nothing.") * 2000


KINDS = {
    "idle": (False, lambda: b""),
    "half-handshaken": (False, lambda: HALF_A_HELLO),
    "slow-reading": (True, slow_reading),
    "resetting": (True, resetting),
    "pending": (True, pending),
    "pinging": (True, pinging),
}


def come(given, context, speaks_tls, words):
    plain = None
    try:
        plain = Service(given.address, given.root).connect(PATIENCE)
        stream = context.wrap_socket(plain, server_hostname="localhost") if speaks_tls else plain
        stream.sendall(words)
        return stream
    except OSError:
        # It was sent away, or not read: it stays on the line all the same.
        return plain


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--first-user", required=True, type=int)
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--count", required=True, type=int)
    given = parser.parse_args()

    resource.setrlimit(resource.RLIMIT_NOFILE, (given.count + 64, given.count + 64))
    context = ssl.create_default_context(cafile=given.root)
    context.set_alpn_protocols(["h2"])
    speaks_tls, words = KINDS[given.kind]
    words, held = words(), []
    for number in range(given.count):
        # Whom the kernel vouches for is who makes the connection: the effective user.
        os.seteuid(given.first_user + number % USERS)
        held.append(come(given, context, speaks_tls, words))
        os.seteuid(0)
    print("here", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
