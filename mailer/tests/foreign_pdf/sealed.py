"""Seals and opens documents with pyHanko: one command a line on standard input, one answer a line."""
import io
import sys

from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils import embed, generic, writer
from pyhanko.pdf_utils import crypt
from pyhanko.pdf_utils.crypt.pubkey import RecipientEncryptionPolicy
from pyhanko.pdf_utils.reader import PdfFileReader

# It wants keyEncipherment, which certificates for key agreement do not have.
ANY_USAGE = RecipientEncryptionPolicy(ignore_key_usage=True)


def embedded(reader):
    """Every embedded file: its specification and its octets."""
    names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
    for at in range(1, len(names), 2):
        specification = names[at]
        yield specification, specification["/EF"]["/F"].data


def unseal(source, key, certificate, target):
    """The payload of a wrapper, decrypted with a key file; the document in it."""
    outer = PdfFileReader(open(source, "rb"))
    assert not outer.encrypted, "the wrapper is encrypted"
    ((specification, payload),) = embedded(outer)
    assert specification["/AFRelationship"] == "/EncryptedPayload"
    assert specification["/EP"]["/Subtype"] == "/Adobe.PubSec"
    assert outer.root["/Collection"]["/View"] == "/H"
    assert outer.root["/AF"][0].get("/UF") == specification["/UF"] == outer.root["/Collection"]["/D"]
    inner = PdfFileReader(io.BytesIO(payload))
    decrypter = crypt.SimpleEnvelopeKeyDecrypter.load(key, certificate)
    result = inner.decrypt_pubkey(decrypter)
    ((specification, document),) = embedded(inner)
    assert inner.root["/Collection"]["/D"] == specification["/UF"]
    with open(target, "wb") as out:
        out.write(document)
    return f"{result.status.name} {result.mac_status.name} {specification['/UF']}"


def wrap(source, target, name, *certificates):
    """A wrapper as the library makes it: only the embedded file is encrypted, and packed."""
    certificates = [load_cert_from_pemder(certificate) for certificate in certificates]
    filter = crypt.PubKeyAESCryptFilter(keylen=32, acts_as_default=False, encrypt_metadata=False)
    filter.set_embedded_only()
    handler = crypt.PubKeySecurityHandler(
        version=crypt.SecurityHandlerVersion.AES256,
        pubkey_handler_subfilter=crypt.PubKeyAdbeSubFilter.S5,
        legacy_keylen=None,
        encrypt_metadata=False,
        crypt_filter_config=crypt.CryptFilterConfiguration(
            {crypt.DEF_EMBEDDED_FILE: filter}, default_file_filter=crypt.DEF_EMBEDDED_FILE
        ),
    )
    filter.add_recipients(certificates, policy=ANY_USAGE)
    document = open(source, "rb").read()
    wrapper = embed.wrap_encrypted_payload(
        document, security_handler=handler, file_spec_string="document.pdf", file_name=name
    )
    with open(target, "wb") as out:
        wrapper.write(out)
    return "written"


def encrypt(source, target, name, *certificates):
    """A file that is encrypted as a whole, with its authentication code, and holds the document."""
    certificates = [load_cert_from_pemder(certificate) for certificate in certificates]
    file = writer.PdfFileWriter()
    handler = crypt.PubKeySecurityHandler.build_from_certs(certificates, policy=ANY_USAGE)
    file._assign_security_handler(handler)
    document = open(source, "rb").read()
    stream = embed.EmbeddedFileObject.from_file_data(
        file, data=document, mime_type="application/pdf", params=embed.EmbeddedFileParams()
    )
    embed.embed_file(file, embed.FileSpec("document.pdf", file_name=name, embedded_data=stream))
    contents = file.add_object(generic.StreamObject(stream_data=b"0 0 m 9 9 l S"))
    file.insert_page(writer.PageObject(contents=contents, media_box=(0, 0, 300, 300)))
    with open(target, "wb") as out:
        file.write(out)
    return "written"


COMMANDS = {"unseal": unseal, "wrap": wrap, "encrypt": encrypt}

for line in sys.stdin:
    command, *arguments = line.rstrip("\n").split("\t")
    try:
        print("ok", COMMANDS[command](*arguments), flush=True)
    except Exception as problem:
        print("no", type(problem).__name__, str(problem).replace("\n", " "), flush=True)
