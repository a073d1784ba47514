"""Makes the constants of golden.rs from the format description in src/docs.md alone.

Needs pyca/cryptography 44 or later. Run it and compare: `python3 golden.py`. It shares no code with the crate, so the
constants are evidence that another implementation can read what the crate writes, and the other way round.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

CHUNK = 16 * 1024


def expand(key, info, length):
    return HKDFExpand(hashes.SHA512(), length, info).derive(key)


def seal(key, salt, plaintext, context):
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + context
    derived = expand(key, info, 76)
    out, base = salt + derived[44:], int.from_bytes(derived[32:44], "big")
    for n in range(len(plaintext) // CHUNK + 1):
        nonce = (base ^ n).to_bytes(12, "big")
        out += AESGCM(derived[:32]).encrypt(nonce, plaintext[n * CHUNK : (n + 1) * CHUNK], None)
    return out


def derive(key, purpose, info):
    return expand(key, b"keyward-seal/v1/derive/" + purpose + b"\0" + info, 32)


def mac(key, parts):
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(key, message, hashlib.sha256).digest()


def field(kind, value):
    return bytes([kind]) + len(value).to_bytes(8, "big") + value


def slot(root, store, header, kind, material, salt):
    info = b"keyward-seal/v1/kek\0" + bytes([kind])
    kek = HKDF(hashes.SHA512(), 32, store, info).derive(material)
    context = field(0, b"keyward-seal/slot/v1") + field(1, store) + field(1, header)
    return header + seal(kek, salt, root, context)


def main():
    root, store, file_key = bytes(range(32)), bytes([7]) * 16, bytes(range(32, 64))
    salt, kdf_salt, words = bytes([9]) * 24, bytes([5]) * 16, "correct horse".encode()
    stretched = Argon2id(salt=kdf_salt, length=32, iterations=2, lanes=3, memory_cost=19456).derive(words)
    kdf = b"\1" + b"".join(n.to_bytes(4, "big") for n in (19456, 2, 3)) + kdf_salt

    print("SEALED_UNDER_DERIVED", seal(derive(root, b"seal", b"records"), salt, b"material", b"golden").hex())
    print("MAC", mac(derive(root, b"mac", b"ids"), [b"production", b"stripe"]).hex())
    print("FINGERPRINT", mac(derive(root, b"mac", b"inventory fingerprints"), [b"sk_live_1"]).hex())
    number = field(3, (3).to_bytes(8, "big"))
    print("CONTEXT", (field(0, b"golden/v1") + field(1, store) + field(2, b"stripe") + number).hex())
    print("FILE_SLOT", slot(root, store, b"KWSL\1\1", 1, file_key, salt).hex())
    print("PASSPHRASE_SLOT", slot(root, store, b"KWSL\1\2" + kdf, 2, stretched, salt).hex())
    wrapped = b"KWSL\1\4\3kms\7key/one" + (4).to_bytes(2, "big") + b"blob"
    print("WRAPPED_SLOT", slot(root, store, wrapped, 4, file_key, salt).hex())
    print("BOTH_SLOT", slot(root, store, b"KWSL\1\3" + kdf, 3, stretched + file_key, salt).hex())


main()
