"""A client that presents no certificate: it may connect and ask, and gets nothing.

    no_certificate.py --stack grpcio --address A --socket S --root R --trust-file T --identities DIR

The service must be fresh. DIR holds `first.pem` and `first_key.pem`.
"""

import arguments
import trust_file

PASSPHRASE = "correct horse"


def main():
    given = arguments.parse(__doc__)
    connect, trusted = given.connect, given.trust_file

    # Nobody is known yet; without a certificate there is nobody to remember as the first.
    with connect(None) as nobody:
        nobody.call("ping").refused("UNAUTHENTICATED", message="")
        nobody.call("list").refused("UNAUTHENTICATED")
        nobody.call("version").refused("UNAUTHENTICATED")
        trust_file.expect(trusted)

    with given.connect_as_first(given.identity("first")) as first:
        first.call("set", key="local.passphrase", val=PASSPHRASE).ok()
    trust_file.expect(trusted, given.identity("first"))

    with connect(None) as nobody:
        nobody.call("list").refused("UNAUTHENTICATED", says=["not authenticated with the Multipass service"])
        nobody.call("authenticate", passphrase=PASSPHRASE).refused("UNAUTHENTICATED", says=["no certificate"])
        nobody.call("list").refused("UNAUTHENTICATED", says=["not authenticated with the Multipass service"])
        nobody.call("ping").refused("UNAUTHENTICATED", message="")
    trust_file.expect(trusted, given.identity("first"))


if __name__ == "__main__":
    main()
