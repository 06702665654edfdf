//! Says what a PEM file holds, and the command that makes a usable one of it. Libraries only say "invalid key format".

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};

/// Kinds of asymmetric keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Rsa,
    P256,
    P384,
    P521,
    Secp256k1,
    Ed25519,
    /// Ed448, X25519 and X448.
    OtherEdwards,
}

/// Object identifiers in DER by which a kind is known. Sources: RFC 5480, RFC 8410, RFC 8017, SEC 2.
const IDENTIFIERS: [(&[u8], KeyKind); 9] = [
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", KeyKind::P256),
    (b"\x06\x05\x2b\x81\x04\x00\x22", KeyKind::P384),
    (b"\x06\x05\x2b\x81\x04\x00\x23", KeyKind::P521),
    (b"\x06\x05\x2b\x81\x04\x00\x0a", KeyKind::Secp256k1),
    (
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01",
        KeyKind::Rsa,
    ),
    (b"\x30\x05\x06\x03\x2b\x65\x70", KeyKind::Ed25519),
    (b"\x30\x05\x06\x03\x2b\x65\x71", KeyKind::OtherEdwards),
    (b"\x30\x05\x06\x03\x2b\x65\x6e", KeyKind::OtherEdwards),
    (b"\x30\x05\x06\x03\x2b\x65\x6f", KeyKind::OtherEdwards),
];

impl KeyKind {
    /// Returns its name, with an article.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "an RSA key",
            Self::P256 => "an EC key on P-256",
            Self::P384 => "an EC key on P-384",
            Self::P521 => "an EC key on P-521",
            Self::Secp256k1 => "an EC key on secp256k1",
            Self::Ed25519 => "an Ed25519 key",
            Self::OtherEdwards => "an Ed448, X25519 or X448 key",
        }
    }

    /// Returns the command that makes a new private key of this kind.
    pub fn make(self) -> &'static str {
        match self {
            Self::Rsa => {
                "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem"
            }
            Self::Ed25519 | Self::OtherEdwards => "openssl genpkey -algorithm ED25519 -out key.pem",
            _ => "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
        }
    }
}

/// A section of a PEM file.
struct Section {
    label: String,
    /// By the file's own words: `Proc-Type: 4,ENCRYPTED`.
    encrypted: bool,
    der: Vec<u8>,
}

impl Section {
    fn kind(&self) -> Option<KeyKind> {
        if self.label.starts_with("RSA ") {
            return Some(KeyKind::Rsa);
        }
        let has = |identifier: &[u8]| self.der.windows(identifier.len()).any(|w| w == identifier);
        let mut known = IDENTIFIERS.iter();
        known
            .find(|(identifier, _)| has(identifier))
            .map(|(_, kind)| *kind)
    }
}

/// Returns the section of the file that a key is in: files of `openssl ecparam` begin with the curve's parameters.
fn key_section(pem: &[u8]) -> Option<Section> {
    let text = String::from_utf8_lossy(pem);
    let mut rest = text.as_ref();
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, body) = begun.split_once("-----")?;
        let (body, after) = body.split_once("-----END ")?;
        rest = after;
        if label.ends_with("PARAMETERS") {
            continue;
        }
        let lines = body.lines().map(str::trim);
        let base64: String = lines.filter(|line| !line.contains(':')).collect();
        return Some(Section {
            label: label.to_owned(),
            encrypted: label.starts_with("ENCRYPTED") || body.contains("ENCRYPTED"),
            der: STANDARD.decode(base64).unwrap_or_default(),
        });
    }
    None
}

/// Checks that the PEM file at `path` holds a private key of this kind in PKCS #8 (or an RSA key in PKCS #1), not
/// encrypted.
///
/// # Errors
/// What it holds instead, and the command that converts it or makes a new one.
pub fn private_key(pem: &[u8], path: &Path, wanted: KeyKind) -> Result<(), String> {
    let Some(section) = key_section(pem) else {
        return Err(format!("it is not PEM; make a key: {}", wanted.make()));
    };
    let (file, label) = (quoted(path), section.label.as_str());
    let convert = format!("openssl pkcs8 -topk8 -nocrypt -in {file} -out key.pkcs8.pem");
    if section.encrypted {
        return Err(format!(
            "it is encrypted, and nobody is there to type a passphrase; decrypt it: {convert}"
        ));
    }
    if label == "OPENSSH PRIVATE KEY" {
        return Err(format!(
            "it is in OpenSSH's own form; make a new key: {}",
            wanted.make()
        ));
    }
    if !label.ends_with("PRIVATE KEY") {
        return Err(format!(
            "it holds a {}, and signing takes the private key",
            label.to_lowercase()
        ));
    }
    match section.kind() {
        Some(kind) if kind != wanted => Err(format!(
            "it is {}, and this takes {}: {}",
            kind.name(),
            wanted.name(),
            match algorithm_of(kind) {
                Some(algorithm) => format!("set token.algorithm = \"{algorithm}\""),
                None => format!(
                    "make a new key, since a curve cannot be converted: {}",
                    wanted.make()
                ),
            }
        )),
        _ if label == "EC PRIVATE KEY" => Err(format!(
            "it is in the SEC1 form (BEGIN EC PRIVATE KEY), and this takes PKCS #8; convert it: {convert}"
        )),
        None => Err(format!(
            "its content is no key; make one: {}",
            wanted.make()
        )),
        Some(_) => Ok(()),
    }
}

fn algorithm_of(kind: KeyKind) -> Option<&'static str> {
    match kind {
        KeyKind::Rsa => Some("RS256"),
        KeyKind::P256 => Some("ES256"),
        KeyKind::Ed25519 => Some("EdDSA"),
        _ => None,
    }
}

/// Returns the kind of the public key in the PEM file at `path`: RSA, P-256, P-384 or Ed25519.
///
/// # Errors
/// What it holds instead, and the command that makes a public key of it.
pub fn public_key(pem: &[u8], path: &Path) -> Result<KeyKind, String> {
    let Some(section) = key_section(pem) else {
        return Err("it is not PEM".to_owned());
    };
    let file = quoted(path);
    match section.label.as_str() {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {}
        "CERTIFICATE" => {
            return Err(format!(
                "it is a certificate; take its key: openssl x509 -in {file} -noout -pubkey -out public.pem"
            ));
        }
        label if label.ends_with("PRIVATE KEY") => {
            return Err(format!(
                "it is a private key, which does not belong here; take its public half: openssl pkey -in {file} -pubout \
                 -out public.pem"
            ));
        }
        label => return Err(format!("it holds a {}", label.to_lowercase())),
    }
    match section.kind() {
        Some(kind @ (KeyKind::Rsa | KeyKind::P256 | KeyKind::P384 | KeyKind::Ed25519)) => Ok(kind),
        Some(kind) => Err(format!(
            "it is {}, and tokens are verified with RSA, P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA) only",
            kind.name()
        )),
        None => Err("its content is no key".to_owned()),
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let shown = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if shown.chars().all(is_plain) {
        return shown;
    }
    format!("'{}'", shown.replace('\'', r"'\''"))
}
