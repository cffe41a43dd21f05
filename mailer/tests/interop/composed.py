"""A CMS peer composed from asn1crypto (structures) and cryptography (mathematics), for what no tool of Debian 12 reads:
X25519 recipients (RFC 8418) and ChaCha20-Poly1305 (RFC 8103). It shares no line with what it judges.

One command a line on stdin, words apart by a space, files in the current folder; one answer a line: "ok ..." or "no ...".

  encrypt OUT CONTENT CIPHER SCHEME WRAP UKM CERTIFICATE...    CIPHER may end in +attributes; UKM is hexadecimal or -
  decrypt OUT CMS KEY CERTIFICATE
"""
import hashlib
import os
import sys
from pathlib import Path

from asn1crypto import algos, cms, core, keys, pem, x509
from cryptography.hazmat.primitives import hashes, keywrap, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHACHA20_POLY1305 = "1.2.840.113549.1.9.16.3.18"
CIPHERS = {
    "chacha20-poly1305": (CHACHA20_POLY1305, 32),
    "aes-128-gcm": ("2.16.840.1.101.3.4.1.6", 16),
    "aes-192-gcm": ("2.16.840.1.101.3.4.1.26", 24),
    "aes-256-gcm": ("2.16.840.1.101.3.4.1.46", 32),
    "aes-256-cbc": ("2.16.840.1.101.3.4.1.42", 32),
}
# Name: object identifier, family, hash.
SCHEMES = {
    "hkdf-sha256": ("1.2.840.113549.1.9.16.3.19", "hkdf", "sha256"),
    "hkdf-sha384": ("1.2.840.113549.1.9.16.3.20", "hkdf", "sha384"),
    "hkdf-sha512": ("1.2.840.113549.1.9.16.3.21", "hkdf", "sha512"),
    "x963-sha256": ("1.3.132.1.11.1", "x963", "sha256"),
    "x963-sha384": ("1.3.132.1.11.2", "x963", "sha384"),
    "x963-sha512": ("1.3.132.1.11.3", "x963", "sha512"),
}
WRAPS = {
    "aes128": ("2.16.840.1.101.3.4.1.5", 16),
    "aes192": ("2.16.840.1.101.3.4.1.25", 24),
    "aes256": ("2.16.840.1.101.3.4.1.45", 32),
}
HASHES = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}


class EccCmsSharedInfo(core.Sequence):
    """RFC 5753 section 7.2, RFC 8418 section 2."""

    _fields = [
        ("key_info", algos.AlgorithmIdentifier),
        ("entity_u_info", core.OctetString, {"explicit": 0, "optional": True}),
        ("supp_pub_info", core.OctetString, {"explicit": 2}),
    ]


def read_certificate(name):
    contents = Path(name).read_bytes()
    return x509.Certificate.load(pem.unarmor(contents)[2] if pem.detect(contents) else contents)


def read_key(name):
    return serialization.load_pem_private_key(Path(name).read_bytes(), None)


def exchange(private, public):
    secret = private.exchange(ec.ECDH(), public) if isinstance(public, ec.EllipticCurvePublicKey) else private.exchange(public)
    if not any(secret):
        raise ValueError("the shared secret is zero")
    return secret


def key_encryption_key(secret, scheme, wrap_algorithm, length, ukm):
    _, family, digest = scheme
    shared_info = EccCmsSharedInfo({"key_info": wrap_algorithm, "supp_pub_info": (length * 8).to_bytes(4, "big")})
    if ukm is not None:
        shared_info["entity_u_info"] = ukm
    information = shared_info.dump()
    if family == "hkdf":
        return HKDF(HASHES[digest](), length, ukm, information).derive(secret)
    blocks, counter = b"", 1
    while len(blocks) < length:
        blocks += hashlib.new(digest, secret + counter.to_bytes(4, "big") + information).digest()
        counter += 1
    return blocks[:length]


def agreed_recipient(certificate, public, scheme, wrap, ukm, content_key):
    ephemeral = x25519.X25519PrivateKey.generate() if isinstance(public, x25519.X25519PublicKey) else ec.generate_private_key(public.curve)
    own = ephemeral.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    wrap_identifier, length = WRAPS[wrap]
    wrap_algorithm = algos.AlgorithmIdentifier({"algorithm": wrap_identifier})
    key = key_encryption_key(exchange(ephemeral, public), scheme, wrap_algorithm, length, ukm)
    information = cms.KeyAgreeRecipientInfo({
        "version": 3,
        "originator": cms.OriginatorIdentifierOrKey("originator_key", keys.PublicKeyInfo.load(own)),
        "key_encryption_algorithm": {"algorithm": scheme[0], "parameters": wrap_algorithm},
        "recipient_encrypted_keys": [{
            "rid": cms.KeyAgreementRecipientIdentifier("issuer_and_serial_number", issuer_and_serial(certificate)),
            "encrypted_key": keywrap.aes_key_wrap(key, content_key),
        }],
    })
    if ukm is not None:
        information["ukm"] = ukm
    return cms.RecipientInfo("kari", information)


def issuer_and_serial(certificate):
    return cms.IssuerAndSerialNumber({"issuer": certificate.issuer, "serial_number": certificate.serial_number})


def recipient(name, scheme, wrap, ukm, content_key):
    certificate = read_certificate(name)
    public = serialization.load_der_public_key(certificate.public_key.dump())
    if not isinstance(public, rsa.RSAPublicKey):
        return agreed_recipient(certificate, public, scheme, wrap, ukm, content_key)
    return cms.RecipientInfo("ktri", cms.KeyTransRecipientInfo({
        "version": 0,
        "rid": cms.RecipientIdentifier("issuer_and_serial_number", issuer_and_serial(certificate)),
        "key_encryption_algorithm": {"algorithm": "1.2.840.113549.1.1.1"},
        "encrypted_key": public.encrypt(content_key, PKCS1v15()),
    }))


class GcmParameters(core.Sequence):
    """RFC 5084 section 3.2."""

    _fields = [("nonce", core.OctetString), ("icv_length", core.Integer, {"default": 12})]


def seal(cipher, key, content, associated_data):
    """Answers parameters, encrypted content and tag."""
    if cipher.endswith("cbc"):
        vector, padder = os.urandom(16), padding.PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
        return core.OctetString(vector), encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize(), None
    nonce = os.urandom(12)
    if cipher == "chacha20-poly1305":
        parameters, sealed = core.OctetString(nonce), ChaCha20Poly1305(key).encrypt(nonce, content, associated_data)
    else:
        parameters, sealed = GcmParameters({"nonce": nonce, "icv_length": 16}), AESGCM(key).encrypt(nonce, content, associated_data)
    return parameters, sealed[:-16], sealed[-16:]


def encrypt(out, content, cipher, scheme, wrap, ukm, *names):
    cipher, _, attributes = cipher.partition("+")
    identifier, length = CIPHERS[cipher]
    content_key = os.urandom(length)
    ukm = None if ukm == "-" else bytes.fromhex(ukm)
    attributes = cms.CMSAttributes([{"type": "content_type", "values": ["data"]}]) if attributes else None
    associated_data = attributes.dump() if attributes else b""
    parameters, sealed, tag = seal(cipher, content_key, Path(content).read_bytes(), associated_data)
    information = cms.EncryptedContentInfo({
        "content_type": "data",
        "content_encryption_algorithm": {"algorithm": identifier, "parameters": parameters},
        "encrypted_content": sealed,
    })
    recipients = [recipient(name, SCHEMES[scheme], wrap, ukm, content_key) for name in names]
    if tag is None:
        envelope, kind = cms.EnvelopedData({"version": 2, "recipient_infos": recipients, "encrypted_content_info": information}), "enveloped_data"
    else:
        envelope, kind = cms.AuthEnvelopedData({"version": 0, "recipient_infos": recipients, "auth_encrypted_content_info": information, "mac": tag}), "authenticated_enveloped_data"
        if attributes:
            envelope["auth_attrs"] = attributes
    Path(out).write_bytes(cms.ContentInfo({"content_type": kind, "content": envelope}).dump())
    return cipher


def rsa_padding(algorithm):
    """RSAES-PKCS1-v1_5, or RSAES-OAEP with the digests that its parameters name (RFC 4055 section 4.1)."""
    if algorithm["algorithm"].native != "rsaes_oaep":
        return PKCS1v15()
    parameters = algorithm["parameters"]
    mask = parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native
    return OAEP(MGF1(HASHES[mask]()), HASHES[parameters["hash_algorithm"]["algorithm"].native](), None)


def content_key_of(information, certificate, private):
    """The content key from a RecipientInfo for this certificate, or nothing."""
    recipient_info = information.chosen
    if information.name == "ktri":
        if not isinstance(private, rsa.RSAPrivateKey) or recipient_info["rid"].chosen["serial_number"].native != certificate.serial_number:
            return None
        return private.decrypt(recipient_info["encrypted_key"].native, rsa_padding(recipient_info["key_encryption_algorithm"]))
    if information.name != "kari":
        return None
    algorithm = recipient_info["key_encryption_algorithm"]
    scheme = next((known for known in SCHEMES.values() if known[0] == algorithm["algorithm"].dotted), None)
    for encrypted in recipient_info["recipient_encrypted_keys"]:
        if scheme and encrypted["rid"].chosen["serial_number"].native == certificate.serial_number:
            wrap_algorithm = algos.AlgorithmIdentifier.load(algorithm["parameters"].dump())
            length = next(length for known, length in WRAPS.values() if known == wrap_algorithm["algorithm"].dotted)
            originator = recipient_info["originator"].chosen
            if algorithm["algorithm"].dotted in ("1.3.101.110",) or originator["algorithm"]["algorithm"].dotted == "1.3.101.110":
                public = x25519.X25519PublicKey.from_public_bytes(bytes(originator["public_key"]))
            else:
                public = ec.EllipticCurvePublicKey.from_encoded_point(private.curve, bytes(originator["public_key"]))
            key = key_encryption_key(exchange(private, public), scheme, wrap_algorithm, length, recipient_info["ukm"].native)
            return keywrap.aes_key_unwrap(key, encrypted["encrypted_key"].native)
    return None


def decrypt(out, message, key, certificate):
    information = cms.ContentInfo.load(Path(message).read_bytes(), strict=True)
    envelope = information["content"]
    authenticated = information["content_type"].native == "authenticated_enveloped_data"
    encrypted = envelope["auth_encrypted_content_info" if authenticated else "encrypted_content_info"]
    certificate, private = read_certificate(certificate), read_key(key)
    found = [content_key_of(recipient_info, certificate, private) for recipient_info in envelope["recipient_infos"]]
    content_key = next(candidate for candidate in found if candidate)
    algorithm = encrypted["content_encryption_algorithm"]
    identifier, parameters = algorithm["algorithm"].dotted, algorithm["parameters"].dump()
    cipher = next(name for name, (known, _) in CIPHERS.items() if known == identifier)
    sealed = encrypted["encrypted_content"].native
    if not authenticated:
        decryptor = Cipher(algorithms.AES(content_key), modes.CBC(core.OctetString.load(parameters).native)).decryptor()
        unpadder = padding.PKCS7(128).unpadder()
        content = unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()
    else:
        attributes = envelope["auth_attrs"]
        associated_data = b"" if attributes.native is None else attributes.untag().dump()
        tag = envelope["mac"].native
        if cipher == "chacha20-poly1305":
            content = ChaCha20Poly1305(content_key).decrypt(core.OctetString.load(parameters).native, sealed + tag, associated_data)
        else:
            fields = GcmParameters.load(parameters)
            if fields["icv_length"].native != len(tag):
                raise ValueError("the tag has another length than its algorithm says")
            content = AESGCM(content_key).decrypt(fields["nonce"].native, sealed + tag, associated_data)
    Path(out).write_bytes(content)
    return cipher


def main():
    commands = {"encrypt": encrypt, "decrypt": decrypt}
    for line in sys.stdin:
        command, *words = line.split()
        try:
            print("ok", commands[command](*words))
        except Exception as refusal:  # noqa: BLE001 - whatever it is, the other side wants to know
            print("no", type(refusal).__name__, str(refusal).replace("\n", " "))


main()
