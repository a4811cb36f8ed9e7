"""The whole flow with a service, from the first client to the second, over one of the two stacks.

    flow.py --stack grpcio --address A --socket S --root R --trust-file T --identities DIR

The service must be fresh. DIR holds `first.pem`, `first_key.pem`, `second.pem` and `second_key.pem`. What is
expected stands here in plain; the first thing that differs ends the script with exit code 1.
"""

import re

import arguments
import trust_file
import wire

# Beyond ASCII, and longer in bytes than in letters: all of it counts.
PASSPHRASE = "Drei Füchse; κλειδί = 🔑"
ALMOST = "Drei Füchse; κλειδί = "

KEYS = [
    "local.bridged-network",
    "local.driver",
    "local.image.mirror",
    "local.passphrase",
    "local.privileged-mounts",
]
NOT_AUTHENTICATED = [
    "not authenticated with the Multipass service",
    "Please authenticate before proceeding",
    "multipass authenticate",
]
NO_PASSPHRASE = ["No passphrase is set."]
UNKNOWN_KEY = "Unrecognized settings key: 'x'"


def positive(number):
    return number > 0


def main():
    given = arguments.parse(__doc__)
    connect, trusted = given.connect, given.trust_file
    first_identity, second_identity = given.identity("first"), given.identity("second")

    # Nobody is known yet, and these two calls change nothing about it.
    with connect(first_identity) as first:
        first.call("ping").refused("UNAUTHENTICATED", message="")
        first.call("authenticate", passphrase="anything").refused("FAILED_PRECONDITION", says=NO_PASSPHRASE)
        trust_file.expect(trusted)
        if given.service != given.local:
            # Over a network no call makes anybody the first client.
            first.call("version").refused("UNAUTHENTICATED", says=NOT_AUTHENTICATED)
            trust_file.expect(trusted)

    # Over the Unix socket any other call does.
    with given.connect_as_first(first_identity) as first:
        first.call("version").ok(version=lambda text: re.fullmatch(r"\d+\.\d+\.\d+.*", text))
        trust_file.expect(trusted, first_identity)
        first.call("ping").ok()

    # A trusted client, on a connection of its own.
    with connect(first_identity) as first:
        first.call("ping").ok()
        first.call("keys", verbosity_level=4).ok(settings_keys=KEYS)
        first.call("get", key="local.passphrase").ok()  # The empty string.
        first.call("set", key="local.passphrase", val=PASSPHRASE).ok()
        first.call("get", key="local.passphrase").ok(value="true")

    # A second client has to know the passphrase.
    with connect(second_identity) as second:
        second.call("list").refused("UNAUTHENTICATED", says=NOT_AUTHENTICATED)
        second.call("set", key="local.passphrase", val="").refused("UNAUTHENTICATED", says=NOT_AUTHENTICATED)
        second.call("launch").refused("UNAUTHENTICATED", says=NOT_AUTHENTICATED)
        second.call("ping").refused("UNAUTHENTICATED", message="")
        second.call("authenticate").refused("INVALID_ARGUMENT")
        second.call("authenticate", passphrase="").refused("INVALID_ARGUMENT")
        for wrong in ["wrong", ALMOST, PASSPHRASE + " ", "x" * 2000]:
            second.call("authenticate", passphrase=wrong).refused(
                "INVALID_ARGUMENT", begins="Passphrase is not correct."
            )
        second.call("list").refused("UNAUTHENTICATED", says=NOT_AUTHENTICATED)
        trust_file.expect(trusted, first_identity)

        second.call("authenticate", passphrase=PASSPHRASE).ok()
        trust_file.expect(trusted, first_identity, second_identity)
        second.call("list", request_ipv4=True).ok(instance_list=b"")
        second.call("ping").ok()

    # It is as trusted as the first from now on.
    with connect(second_identity) as second:
        second.call("authenticate", passphrase=PASSPHRASE, verbosity_level=4).ok()
        trust_file.expect(trusted, first_identity, second_identity)
        second.call("ping").ok()
        second.call("list", snapshots=True).ok(snapshot_list=b"")
        second.call("info").ok()
        second.call("info", instance_snapshot_pairs=[wire.field(1, "fox")]).refused(
            "NOT_FOUND", says=['instance "fox" does not exist']
        )
        second.call("daemon_info").ok(available_space=positive, cpus=positive, memory=positive)
        second.call("wait_ready").ok()
        second.call("get", key="x").refused("INVALID_ARGUMENT", message=UNKNOWN_KEY)
        second.call("set", key="x", val="y").refused("INVALID_ARGUMENT", message=UNKNOWN_KEY)
        # There is no image without an address, and it says so.
        second.call("launch", instance_name="fox", num_cores=2).refused("NOT_FOUND", says=["image"])
        second.call("no_such_method").refused("UNIMPLEMENTED")

    # With the passphrase unset, nobody can come in; those who are in stay.
    with connect(first_identity) as first:
        first.call("set", key="local.passphrase", val="").ok()
        first.call("get", key="local.passphrase").ok()
        first.call("authenticate", passphrase=PASSPHRASE).refused("FAILED_PRECONDITION", says=NO_PASSPHRASE)
        first.call("ping").ok()
        trust_file.expect(trusted, first_identity, second_identity)


if __name__ == "__main__":
    main()
