"""The file of the trusted clients, read as any tool would read it."""

import re
import ssl
from pathlib import Path


def expect(path, *identities):
    """The file must hold the certificates of exactly these clients, in this order."""
    text = Path(path).read_text() if Path(path).exists() else ""
    blocks = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    held = [ssl.PEM_cert_to_DER_cert(block) for block in blocks]
    wanted = [identity.der() for identity in identities]
    assert held == wanted, f"expected {len(wanted)} trusted clients, found {len(held)} or others:\n{text}"
