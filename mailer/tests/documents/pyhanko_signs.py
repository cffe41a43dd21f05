"""Signs PDF files with pyHanko, with keys in files and no network, or changes signed ones: what mailer must judge rightly.

pyhanko_signs.py sign LEVEL INPUT OUTPUT [certify]    LEVEL: bb, bt, blt, blta, cms
pyhanko_signs.py change KIND INPUT OUTPUT             KIND: fill, metadata, content, annotation
"""
import sys

from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko_certvalidator import ValidationContext
from asn1crypto import crl, keys, pem


def der(path):
    with open(path, "rb") as file:
        octets = file.read()
    return pem.unarmor(octets)[2] if pem.detect(octets) else octets


def sign(level, source, target, certify):
    signer = signers.SimpleSigner.load("notary.p8", "notary.pem", ca_chain_files=("People.pem",))
    authority, key = load_cert_from_pemder("Stamper.pem"), keys.PrivateKeyInfo.load(der("Stamper.p8"))
    stamper = DummyTimeStamper(authority, key, certs_to_embed=None)
    context = ValidationContext(
        trust_roots=[load_cert_from_pemder("Root.pem")],
        other_certs=[load_cert_from_pemder("People.pem"), authority],
        crls=[crl.CertificateList.load(der(name)) for name in ("Root.crl", "People.crl")],
        allow_fetching=False,
        revocation_mode="soft-fail",
    )
    is_long = level in ("blt", "blta")
    metadata = signers.PdfSignatureMetadata(
        field_name="Foreign",
        md_algorithm="sha256",
        subfilter=fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED if level == "cms" else fields.SigSeedSubFilter.PADES,
        embed_validation_info=is_long,
        use_pades_lta=level == "blta",
        validation_context=context if is_long else None,
        certify=certify,
        docmdp_permissions=fields.MDPPerm.FILL_FORMS,
        reason="Signed elsewhere",
    )
    with open(source, "rb") as file, open(target, "wb") as out:
        signers.sign_pdf(
            IncrementalPdfFileWriter(file),
            metadata,
            signer=signer,
            timestamper=None if level in ("bb", "cms") else stamper,
            output=out,
        )


def change(kind, source, target):
    with open(source, "rb") as file, open(target, "wb") as out:
        writer = IncrementalPdfFileWriter(file)
        page = writer.root["/Pages"]["/Kids"][0].get_object()
        if kind == "fill":
            field = writer.root["/AcroForm"]["/Fields"][0].get_object()
            field[pdf_name("/V")] = generic.pdf_string("Bob")
            writer.mark_update(field.container_ref)
        elif kind == "metadata":
            writer.set_info(generic.DictionaryObject({pdf_name("/Title"): generic.pdf_string("Another")}))
        elif kind == "content":
            stream = generic.StreamObject(stream_data=b"BT /F 18 Tf 72 720 Td (The fee is 900.) Tj ET")
            page[pdf_name("/Contents")] = writer.add_object(stream)
            writer.mark_update(page.container_ref)
        elif kind == "annotation":
            note = generic.DictionaryObject(
                {
                    pdf_name("/Type"): pdf_name("/Annot"),
                    pdf_name("/Subtype"): pdf_name("/Text"),
                    pdf_name("/Contents"): generic.pdf_string("900"),
                    pdf_name("/Rect"): generic.ArrayObject(map(generic.NumberObject, (70, 700, 300, 740))),
                }
            )
            page[pdf_name("/Annots")] = generic.ArrayObject([*page.get("/Annots", []), writer.add_object(note)])
            writer.mark_update(page.container_ref)
        else:
            raise SystemExit(f"unknown change {kind}")
        writer.write(out)


if __name__ == "__main__":
    if sys.argv[1] == "sign":
        sign(*sys.argv[2:5], certify="certify" in sys.argv[5:])
    else:
        change(*sys.argv[2:5])
