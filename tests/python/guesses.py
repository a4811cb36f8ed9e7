"""Somebody who guesses the passphrase as fast as the service answers, or does not even wait for its answer.

    guesses.py --address A --root R --certificate C --key K --passphrase P --seconds 10
    guesses.py --address A --root R --certificate C --key K --passphrase P --hang-up

With `--seconds` it prints how often each status was the answer, as `CODE number`: after that time, or once its
standard input is closed.
"""

import argparse
import select
import sys
import time
from collections import Counter

import wire
from client import Identity, Service
from h2_client import H2Client

# An attacker may stay on one connection or make a new one each time; this one does something of both.
GUESSES_A_CONNECTION = 40


def guess_for(seconds, connect, passphrase):
    """Guesses all the time, as long as standard input is open; returns the answers."""
    answers = Counter()
    request = wire.encode("authenticate", passphrase=passphrase)
    end = time.monotonic() + seconds

    def is_over():
        return time.monotonic() >= end or select.select([sys.stdin], [], [], 0)[0]

    while not is_over():
        with connect() as client:
            for _ in range(GUESSES_A_CONNECTION):
                code, _, _ = client.exchange("authenticate", request)
                answers[code] += 1
                if is_over():
                    break
    return answers


def hang_up(connect, passphrase):
    """Guesses, and is gone before the answer."""
    with connect() as client:
        client.start("authenticate", wire.encode("authenticate", passphrase=passphrase))
        # Calls are begun in their order: once this one is answered, which takes no hashing, the guess was
        # taken up.
        client.call("ping").refused("UNAUTHENTICATED")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["address", "root", "certificate", "key", "passphrase"]:
        parser.add_argument(f"--{name}", required=True)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--seconds", type=float)
    how.add_argument("--hang-up", action="store_true")
    given = parser.parse_args()

    def connect():
        return H2Client(Service(given.address, given.root), Identity(given.certificate, given.key))

    if given.hang_up:
        return hang_up(connect, given.passphrase)
    for code, number in guess_for(given.seconds, connect, given.passphrase).items():
        print(code, number, flush=True)


if __name__ == "__main__":
    main()
