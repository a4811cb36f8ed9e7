//! Client certificates made by the `openssl` program, so that our own code has no part in them.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A kind of client certificate. All of them are accepted from whoever holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As the stock client makes it today: X.509 v3, P-256.
    V3,
    /// As the stock client made it before 2023: X.509 v1, P-256.
    V1,
    /// RSA with 2048 bits.
    Rsa2048,
    /// P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// P-256, expired for years.
    Expired,
    /// P-256, signed by some authority.
    CaSigned,
}

/// All of them have the same subject: clients are told apart by their certificates, not by their names.
const SUBJECT: &str = "/C=US/O=Canonical/CN=5b2bd6b1-3ba3-4a3b-9a0e-3f3f5f3a3c11";

/// For `openssl req` and `openssl ca`, which is told the rest on its command line.
const CONFIGURATION: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
[ca]
default_ca = register
[register]
database = register
serial = serial
new_certs_dir = .
default_md = default
policy = any
x509_extensions = client
[any]
countryName = optional
organizationName = optional
commonName = supplied
";

impl Kind {
    /// Makes an identity of this kind: `NAME.pem` and `NAME_key.pem` in `folder`.
    pub(crate) fn make(self, folder: &Path, name: &str) {
        // `openssl ca` keeps a register and the certificates issued, for each identity in a place of its own.
        let work = folder.join(format!("{name}.work"));
        fs::create_dir_all(&work).unwrap();
        fs::write(work.join("openssl.cnf"), CONFIGURATION).unwrap();
        fs::write(work.join("register"), "").unwrap();
        fs::write(work.join("serial"), "01\n").unwrap();
        let openssl =
            |arguments: &str| run(Command::new("openssl").args(arguments.split(' ')).current_dir(&work));
        let configured = "-config openssl.cnf";

        let algorithm = match self {
            Self::V3 | Self::V1 | Self::Expired | Self::CaSigned => "EC -pkeyopt ec_paramgen_curve:P-256",
            Self::P384 => "EC -pkeyopt ec_paramgen_curve:P-384",
            Self::Rsa2048 => "RSA -pkeyopt rsa_keygen_bits:2048",
            Self::Ed25519 => "ED25519",
        };
        openssl(&format!("genpkey -algorithm {algorithm} -out key.pem")).unwrap();
        openssl(&format!("req {configured} -new -key key.pem -subj {SUBJECT} -out request.pem")).unwrap();

        let sign = format!("ca {configured} -batch -notext -in request.pem -out certificate.pem");
        match self {
            Self::V3 | Self::P384 | Self::Rsa2048 | Self::Ed25519 => {
                openssl(&format!("{sign} -selfsign -keyfile key.pem -days 365"))
            }
            Self::Expired => openssl(&format!(
                "{sign} -selfsign -keyfile key.pem -startdate 20200101000000Z -enddate 20210101000000Z"
            )),
            Self::CaSigned => {
                openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca_key.pem").unwrap();
                let authority = "-subj /CN=Authority -days 365 -extensions authority";
                openssl(&format!("req {configured} -x509 -key ca_key.pem {authority} -out ca.pem")).unwrap();
                openssl(&format!("{sign} -cert ca.pem -keyfile ca_key.pem -days 365"))
            }
            // From OpenSSL 3.2 on, v1 has to be asked for; before, it is what a request without extensions
            // becomes.
            Self::V1 => openssl(&format!(
                "req {configured} -x509v1 -key key.pem -subj {SUBJECT} -out certificate.pem"
            ))
            .or_else(|_| {
                openssl("x509 -req -in request.pem -signkey key.pem -days 365 -out certificate.pem")
            }),
        }
        .unwrap();

        let text = openssl("x509 -in certificate.pem -noout -text").unwrap();
        for sign in self.signs() {
            assert!(text.contains(sign), "{self:?} should have {sign:?}:\n{text}");
        }
        fs::rename(work.join("certificate.pem"), folder.join(format!("{name}.pem"))).unwrap();
        fs::rename(work.join("key.pem"), folder.join(format!("{name}_key.pem"))).unwrap();
    }

    /// What `openssl x509 -text` says of each kind.
    fn signs(self) -> &'static [&'static str] {
        match self {
            Self::V3 => &["Version: 3 ", "ASN1 OID: prime256v1", "TLS Web Client Authentication"],
            Self::V1 => &["Version: 1 ", "ASN1 OID: prime256v1"],
            Self::Rsa2048 => &["Version: 3 ", "Public-Key: (2048 bit)"],
            Self::P384 => &["Version: 3 ", "ASN1 OID: secp384r1"],
            Self::Ed25519 => &["Version: 3 ", "ED25519 Public-Key"],
            Self::Expired => &["Version: 3 ", "Not After : Jan  1 00:00:00 2021 GMT"],
            Self::CaSigned => &["Version: 3 ", "Authority"],
        }
    }
}

/// What a program prints, or, where it fails, what it says about that.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
