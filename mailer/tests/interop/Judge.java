// BouncyCastle as the other side of the matrix. Reads one command a line from stdin, words apart by a space, files in the
// current folder; answers one line each: "ok ..." or "no ...".
//
//   sign OUT CONTENT inside|beside ALGORITHM KEY CERTIFICATE [ALGORITHM KEY CERTIFICATE]...
//   verify OUT CMS [CONTENT]                      every signature; OUT gets the content
//   encrypt OUT CONTENT CIPHER CERTIFICATE...
//   decrypt OUT CMS KEY CERTIFICATE
//   compress OUT CONTENT
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Security;
import java.security.interfaces.ECPublicKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.List;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.util.Store;

public class Judge {
    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            try {
                System.out.println("ok " + run(line.split(" ")));
            } catch (Exception refusal) {
                System.out.println("no " + refusal.toString().replace('\n', ' '));
            }
        }
    }

    static String run(String[] words) throws Exception {
        return switch (words[0]) {
            case "sign" -> sign(words);
            case "verify" -> verify(words);
            case "encrypt" -> encrypt(words);
            case "decrypt" -> decrypt(words);
            case "compress" -> compress(words);
            default -> throw new IllegalArgumentException("unknown command");
        };
    }

    static String sign(String[] words) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        List<X509CertificateHolder> certificates = new ArrayList<>();
        for (int at = 4; at + 2 < words.length; at += 3) {
            X509CertificateHolder certificate = certificate(words[at + 2]);
            var digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
            var signer = new JcaContentSignerBuilder(words[at]).setProvider("BC").build(key(words[at + 1], certificate));
            generator.addSignerInfoGenerator(new SignerInfoGeneratorBuilder(digests).build(signer, certificate));
            certificates.add(certificate);
        }
        generator.addCertificates(new JcaCertStore(certificates));
        CMSTypedData content = new CMSProcessableByteArray(read(words[2]));
        write(words[1], generator.generate(content, words[3].equals("inside")).getEncoded());
        return certificates.size() + " signers";
    }

    static String verify(String[] words) throws Exception {
        CMSSignedData signed = words.length > 3
            ? new CMSSignedData(new CMSProcessableByteArray(read(words[3])), read(words[2]))
            : new CMSSignedData(read(words[2]));
        Store<X509CertificateHolder> certificates = signed.getCertificates();
        int good = 0;
        for (SignerInformation signer : signed.getSignerInfos().getSigners()) {
            var found = certificates.getMatches(signer.getSID());
            X509CertificateHolder certificate = (X509CertificateHolder) found.iterator().next();
            var verifier = new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate);
            if (!signer.verify(verifier)) throw new CMSException("a signature is wrong");
            good++;
        }
        if (good == 0) throw new CMSException("there is no signature");
        write(words[1], (byte[]) signed.getSignedContent().getContent());
        return good + " signatures";
    }

    static String encrypt(String[] words) throws Exception {
        ASN1ObjectIdentifier cipher = (ASN1ObjectIdentifier) CMSAlgorithm.class.getField(words[3]).get(null);
        OutputEncryptor encryptor = new JceCMSContentEncryptorBuilder(cipher).setProvider("BC").build();
        CMSTypedData content = new CMSProcessableByteArray(read(words[2]));
        List<RecipientInfoGenerator> recipients = new ArrayList<>();
        for (int at = 4; at < words.length; at++) recipients.add(recipient(words[at]));
        if (encryptor instanceof OutputAEADEncryptor authenticated) {
            CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
            recipients.forEach(generator::addRecipientInfoGenerator);
            write(words[1], generator.generate(content, authenticated).getEncoded());
        } else {
            CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
            recipients.forEach(generator::addRecipientInfoGenerator);
            write(words[1], generator.generate(content, encryptor).getEncoded());
        }
        return words[3];
    }

    static RecipientInfoGenerator recipient(String file) throws Exception {
        var certificate = new JcaX509CertificateConverter().setProvider("BC").getCertificate(certificate(file));
        if (!(certificate.getPublicKey() instanceof ECPublicKey elliptic)) {
            return new JceKeyTransRecipientInfoGenerator(certificate).setProvider("BC");
        }
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "BC");
        generator.initialize(elliptic.getParams());
        KeyPair ephemeral = generator.generateKeyPair();
        return new JceKeyAgreeRecipientInfoGenerator(
            CMSAlgorithm.ECDH_SHA256KDF, ephemeral.getPrivate(), ephemeral.getPublic(), CMSAlgorithm.AES256_WRAP)
            .setProvider("BC").addRecipient(certificate);
    }

    static String decrypt(String[] words) throws Exception {
        byte[] message = read(words[2]);
        var kind = org.bouncycastle.asn1.cms.ContentInfo.getInstance(message).getContentType();
        boolean authenticated = kind.getId().equals("1.2.840.113549.1.9.16.1.23");
        RecipientInformationStore recipients = authenticated
            ? new CMSAuthEnvelopedData(message).getRecipientInfos()
            : new CMSEnvelopedData(message).getRecipientInfos();
        X509CertificateHolder certificate = certificate(words[4]);
        PrivateKey key = key(words[3], certificate);
        for (RecipientInformation recipient : recipients.getRecipients()) {
            if (!recipient.getRID().match(certificate)) continue;
            // This version opens AuthEnvelopedData with RSA keys only.
            boolean agreed = recipient instanceof KeyAgreeRecipientInformation;
            Recipient opener = agreed ? new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC")
                : authenticated ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC")
                : new JceKeyTransEnvelopedRecipient(key).setProvider("BC");
            write(words[1], recipient.getContent(opener));
            return authenticated ? "authenticated" : "not authenticated";
        }
        throw new CMSException("not for this key");
    }

    static String compress(String[] words) throws Exception {
        CMSCompressedData compressed = new CMSCompressedDataGenerator()
            .generate(new CMSProcessableByteArray(read(words[2])), new org.bouncycastle.cms.jcajce.ZlibCompressor());
        write(words[1], compressed.getEncoded());
        return "compressed";
    }

    static X509CertificateHolder certificate(String file) throws Exception {
        try (PEMParser parser = new PEMParser(Files.newBufferedReader(Path.of(file)))) {
            return (X509CertificateHolder) parser.readObject();
        }
    }

    static PrivateKey key(String file, X509CertificateHolder certificate) throws Exception {
        try (PEMParser parser = new PEMParser(Files.newBufferedReader(Path.of(file)))) {
            PrivateKeyInfo key = (PrivateKeyInfo) parser.readObject();
            String algorithm = key.getPrivateKeyAlgorithm().getAlgorithm().getId();
            return KeyFactory.getInstance(algorithm, "BC").generatePrivate(new PKCS8EncodedKeySpec(key.getEncoded()));
        }
    }

    static byte[] read(String file) throws Exception {
        return Files.readAllBytes(Path.of(file));
    }

    static void write(String file, byte[] bytes) throws Exception {
        Files.write(Path.of(file), bytes);
    }
}
