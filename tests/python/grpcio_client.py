"""Stack 1: grpcio, the C core that the stock client is built on, with BoringSSL as its TLS.

It chooses TLS 1.3 and, unlike the stock client, offers other groups than P-256: that is left to stack 2.
"""

import grpc

from client import DEADLINE, Client


class GrpcioClient(Client):
    """A channel as the stock client makes it."""

    def __init__(self, service, identity=None):
        with open(service.root, "rb") as file:
            root = file.read()
        if identity is None:
            credentials = grpc.ssl_channel_credentials(root)
        else:
            key, certificate = identity.key.read_bytes(), identity.certificate.read_bytes()
            credentials = grpc.ssl_channel_credentials(root, key, certificate)
        options = [
            ("grpc.ssl_target_name_override", "localhost"),
            ("grpc.default_authority", "localhost"),
            # Clients of one process would share a connection otherwise, and so an identity's first handshake.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
        ]
        self.channel = grpc.secure_channel(service.address, credentials, options)

    def exchange(self, method, request):
        # Without serializers, messages are bytes.
        path = f"/multipass.Rpc/{method}"
        replies = []
        try:
            if method == "ping":
                replies.append(self.channel.unary_unary(path)(request, timeout=DEADLINE))
            else:
                for reply in self.channel.stream_stream(path)(iter([request]), timeout=DEADLINE):
                    replies.append(reply)
        except grpc.RpcError as error:
            return error.code().name, error.details(), replies
        return "OK", "", replies

    def close(self):
        self.channel.close()
