"""Stack 2: Python's ssl (OpenSSL), hyper-h2, and gRPC's framing by hand, so that TLS can be chosen."""

import ssl
import struct
import urllib.parse
from dataclasses import dataclass
from typing import Optional

import h2.config
import h2.connection
import h2.events

from client import Client

# gRPC's status codes, in the order of their numbers.
CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE "
    "DATA_LOSS UNAUTHENTICATED"
).split()

# The extension supported_groups (10) of a ClientHello that names secp256r1 (23) and nothing else.
ONLY_P256 = bytes.fromhex("000a 0004 0002 0017")


@dataclass(frozen=True)
class Tls:
    """What the client offers."""

    version: Optional[ssl.TLSVersion] = None  # This version only; else 1.2 and 1.3.
    only_p256: bool = False
    alpn: bool = True

    def context(self, root, identity):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Verifies the chain and the name.
        context.load_verify_locations(root)
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key)
        if self.version is not None:
            if self.version < ssl.TLSVersion.TLSv1_2:
                # Or OpenSSL refuses by itself, before the server can.
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = self.version
        if self.only_p256:
            context.set_ecdh_curve("prime256v1")
            assert ONLY_P256 in client_hello(context), "the client offers other groups too"
        if self.alpn:
            context.set_alpn_protocols(["grpc-exp", "h2"])  # As the stock client.
        return context


def client_hello(context):
    """The first message that a client would send."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class H2Client(Client):
    """One HTTP/2 connection, one call at a time."""

    def __init__(self, service, identity=None, tls=Tls()):
        context = tls.context(service.root, identity)
        plain = service.connect()
        try:
            self.socket = context.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.http = h2.connection.H2Connection(config)
        self.http.initiate_connection()
        self.flush()

    def exchange(self, method, request):
        stream = self.start(method, request)
        headers, body = self.receive(stream)
        assert headers[":status"] == "200", headers
        assert headers["content-type"].startswith("application/grpc"), headers
        message = urllib.parse.unquote(headers.get("grpc-message", ""), errors="strict")
        return CODES[int(headers["grpc-status"])], message, list(messages(body))

    def start(self, method, request):
        """Sends one request; returns the stream on which it will be answered."""
        stream = self.http.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", f"/multipass.Rpc/{method}"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]
        self.http.send_headers(stream, headers)
        # A client may keep its side of a stream open, to answer questions; it is answered all the same.
        framed = struct.pack(">BI", 0, len(request)) + request
        self.http.send_data(stream, framed, end_stream=method == "ping")
        self.flush()
        return stream

    def receive(self, stream):
        """All headers of the response, trailers included, and its body."""
        headers, body = {}, b""
        while True:
            received = self.socket.recv(65536)
            assert received, f"the server closed the connection after {headers} {body!r}"
            for event in self.http.receive_data(received):
                assert not isinstance(event, h2.events.ConnectionTerminated), event
                if getattr(event, "stream_id", None) != stream:
                    continue
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    headers.update(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    self.http.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamEnded):
                    self.flush()
                    return headers, body
                else:
                    assert not isinstance(event, h2.events.StreamReset), event
            self.flush()

    def flush(self):
        self.socket.sendall(self.http.data_to_send())

    def close(self):
        self.socket.close()


def messages(body):
    """The messages in a gRPC body."""
    while body:
        compressed, length = struct.unpack(">BI", body[:5])
        assert compressed == 0 and len(body) >= 5 + length, body
        yield body[5 : 5 + length]
        body = body[5 + length :]
