"""The command line that the scripts share."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from client import Identity, Service
from grpcio_client import GrpcioClient
from h2_client import H2Client

STACKS = {"grpcio": GrpcioClient, "h2": H2Client}


@dataclass(frozen=True)
class Arguments:
    service: Service
    local: Service  # The same one by its Unix socket, where alone there is a first client.
    stack: Callable
    trust_file: Path
    identities: Path

    def identity(self, name):
        return Identity(self.identities / f"{name}.pem", self.identities / f"{name}_key.pem")

    def connect(self, identity):
        """A client on the chosen stack."""
        return self.stack(self.service, identity)

    def connect_as_first(self, identity):
        """A client that becomes the first one by its first call."""
        return self.stack(self.local, identity)


def parse(description):
    verbatim = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=verbatim)
    parser.add_argument("--address", required=True, help="the service's address, as its clients are told it")
    parser.add_argument("--socket", required=True, help="its Unix socket, which may be that address too")
    parser.add_argument("--root", required=True, help="the root certificate that clients pin")
    parser.add_argument("--trust-file", required=True, type=Path, help="the file of the trusted clients")
    parser.add_argument("--identities", required=True, type=Path, help="the folder of client certificates")
    parser.add_argument("--stack", choices=STACKS, default="h2")
    given = parser.parse_args()
    service, local = Service(given.address, given.root), Service(f"unix:{given.socket}", given.root)
    return Arguments(service, local, STACKS[given.stack], given.trust_file, given.identities)
