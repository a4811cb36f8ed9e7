"""What a stock service leaves on the disk, made and read by its rules and by no code of ours.

make STOCK SETTINGS ROOT PASSPHRASE CERTIFICATE...
    A data directory, its settings, and the published root certificate; the certificates are its trusted clients.
trusts STOCK CERTIFICATE...
    Fails unless exactly these clients, in this order, are trusted by a stock service over that directory.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import trust_file

ROOT = """
[req]
distinguished_name = name
prompt = no
x509_extensions = root
[name]
C = US
O = Canonical
CN = Multipass Root CA
[root]
basicConstraints = critical, CA:TRUE
"""


class Certificate:
    """A client, as `trust_file` wants it."""

    def __init__(self, path):
        self.text = Path(path).read_text()

    def der(self):
        return trust_file.ssl.PEM_cert_to_DER_cert(self.text)


def openssl(work, *arguments):
    subprocess.run(["openssl", *arguments], cwd=work, check=True, capture_output=True)


def certificates(directory, root):
    """The server's keys and certificates; its root certificate is published at `root`, and nowhere else."""
    directory.mkdir(mode=0o700)
    (directory / "root.cnf").write_text(ROOT)
    (directory / "server.cnf").write_text("subjectAltName = DNS:localhost\n")
    curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    for name in ["localhost_root_key.pem", "localhost_key.pem"]:
        openssl(directory, "genpkey", *curve, "-out", name)
    openssl(directory, "req", "-x509", "-config", "root.cnf", "-key", "localhost_root_key.pem", "-days", "3650",
            "-out", str(root))
    openssl(directory, "req", "-new", "-config", "root.cnf", "-subj", "/C=US/O=Canonical/CN=localhost", "-key",
            "localhost_key.pem", "-out", "request.pem")
    openssl(directory, "x509", "-req", "-in", "request.pem", "-CA", str(root), "-CAkey", "localhost_root_key.pem",
            "-set_serial", "2", "-days", "365", "-extfile", "server.cnf", "-out", "localhost.pem")
    for name in ["root.cnf", "server.cnf", "request.pem"]:
        (directory / name).unlink()


def make(stock, settings, root, passphrase, *clients):
    stock, settings, root = Path(stock), Path(settings), Path(root)
    for directory in [stock, settings.parent, root.parent]:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificates(stock / "certificates", root)
    trusted = stock / "authenticated-certs"
    trusted.mkdir(mode=0o700)
    (trusted / "multipass_client_certs.pem").write_text("".join(Path(client).read_text() for client in clients))
    # As many bytes as there are letters.
    cut = passphrase.encode()[: len(passphrase)]
    hashed = hashlib.scrypt(cut, salt=b"", n=2**14, r=8, p=1, dklen=64).hex()
    settings.write_text(f"[General]\nlocal.driver=qemu\nlocal.passphrase={hashed}\n")
    settings.chmod(0o600)


def trusts(stock, *clients):
    path = Path(stock) / "authenticated-certs" / "multipass_client_certs.pem"
    trust_file.expect(path, *map(Certificate, clients))


if __name__ == "__main__":
    {"make": make, "trusts": trusts}[sys.argv[1]](*sys.argv[2:])
