"""TLS as different clients speak it: each version, and P-256 as the only group.

    tls.py --address A --socket S --root R --trust-file T --identities DIR

The service must be fresh. DIR holds an identity `first` and one for each name in OFFERS.
"""

import ssl

import arguments
import trust_file
from h2_client import H2Client, Tls

PASSPHRASE = "correct horse"
TLS11, TLS12, TLS13 = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

OFFERS = {
    "tls12": Tls(TLS12),
    "tls12-p256": Tls(TLS12, only_p256=True),
    "tls13": Tls(TLS13),
    "tls13-p256": Tls(TLS13, only_p256=True),
}


def main():
    given = arguments.parse(__doc__)
    service, trusted = given.service, [given.identity("first")]
    with given.connect_as_first(trusted[0]) as first:
        first.call("set", key="local.passphrase", val=PASSPHRASE).ok()

    for name, tls in OFFERS.items():
        print(f"-- {name}", flush=True)
        identity = given.identity(name)
        with H2Client(service, identity, tls) as newcomer:
            spoken = {TLS12: "TLSv1.2", TLS13: "TLSv1.3"}[tls.version]
            assert newcomer.socket.version() == spoken, newcomer.socket.version()
            assert newcomer.socket.selected_alpn_protocol() == "h2", newcomer.socket.selected_alpn_protocol()
            newcomer.call("ping").refused("UNAUTHENTICATED", message="")
            newcomer.call("list").refused("UNAUTHENTICATED")
            newcomer.call("authenticate", passphrase=PASSPHRASE).ok()
            newcomer.call("list").ok(instance_list=b"")
        # Known again on another connection.
        with H2Client(service, identity, tls) as newcomer:
            newcomer.call("ping").ok()
        trusted.append(identity)
        trust_file.expect(given.trust_file, *trusted)

    print("-- without ALPN", flush=True)
    with H2Client(service, trusted[0], Tls(alpn=False)) as first:
        assert first.socket.selected_alpn_protocol() is None
        first.call("list").ok(instance_list=b"")

    print("-- TLS 1.1", flush=True)
    try:
        H2Client(service, trusted[0], Tls(TLS11)).close()
    except ssl.SSLError as refusal:
        # An alert is the server's word: the client itself was willing. Which one it is depends on whether
        # the server looks first at the version, or at the signature algorithms, which TLS 1.1 does not name.
        assert refusal.reason in ("TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE"), refusal
    else:
        raise AssertionError("a client of TLS 1.1 was let in")


if __name__ == "__main__":
    main()
