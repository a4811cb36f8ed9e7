"""A crowd of users who connect and then say nothing. Needs root, to be them.

    crowd.py --socket S --users 3000-3007 --each 64

Each user makes that many connections. Then it prints `here`, and goes when its input ends.
"""

import argparse
import os
import socket
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--users", required=True, metavar="FIRST-LAST")
    parser.add_argument("--each", required=True, type=int)
    given = parser.parse_args()
    first, last = map(int, given.users.split("-"))

    held = []
    for user in range(first, last + 1):
        # Whom the kernel vouches for is who makes the connection: the effective user.
        os.seteuid(user)
        for _ in range(given.each):
            plain = socket.socket(socket.AF_UNIX)
            plain.connect(given.socket)
            held.append(plain)
        os.seteuid(0)
    print("here", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
