//! sha256 digests: the name of a blob, and readers and writers that compute one on the way.

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fmt::Write as _;
use std::io::{self, Read, Write};

/// `sha256:` and 64 lower-case hexadecimal digits. No other algorithm exists for this store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// Why a text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("digest {text:?} is not sha256: and 64 lower-case hexadecimal digits")]
pub struct DigestError {
    /// What was given.
    pub text: String,
}

const PREFIX: &str = "sha256:";

impl Digest {
    /// Reads `sha256:<64 hex>`.
    ///
    /// # Errors
    /// Another algorithm, length, or digit. It is safe to use what passes as a file name.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        match text.strip_prefix(PREFIX) {
            Some(hex) if is_hex64(hex) => Ok(Self(text.to_owned())),
            _ => Err(DigestError {
                text: text.chars().take(200).collect(),
            }),
        }
    }

    /// The digest of 64 lower-case hexadecimal digits.
    pub(crate) fn from_hex(hex: &str) -> Option<Self> {
        is_hex64(hex).then(|| Self(format!("{PREFIX}{hex}")))
    }

    /// Digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(Sha256::new_with_prefix(bytes))
    }

    fn from_hash(hash: Sha256) -> Self {
        let mut text = PREFIX.to_owned();
        for byte in hash.finalize() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// With its algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 digits, which are also its file name.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix(PREFIX).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the text is 64 lower-case hexadecimal digits.
pub(crate) fn is_hex64(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Chain id of a layer on the layers below it (OCI image spec, "Layer ChainID").
pub(crate) fn chain_id(below: Option<&Digest>, diff_id: &Digest) -> Digest {
    match below {
        None => diff_id.clone(),
        Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
    }
}

/// Computes the digest and length of all that is read or written through it.
pub(crate) struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    pub(crate) fn finish(self) -> (Digest, u64, T) {
        (Digest::from_hash(self.hash), self.bytes, self.inner)
    }

    fn saw(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.saw(buf.get(..n).unwrap_or_default());
        Ok(n)
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.saw(buf.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sha256_in_lower_case_is_a_digest() {
        let good = format!("sha256:{}", "a1".repeat(32));
        assert_eq!(Digest::parse(&good).unwrap().hex(), "a1".repeat(32));
        for bad in [
            "",
            "sha256:",
            "sha256:../../../../etc/passwd",
            &"a1".repeat(32),
            &format!("sha512:{}", "a1".repeat(32)),
            &format!("sha256:{}", "A1".repeat(32)),
            &format!("sha256:{}0", "a1".repeat(32)),
        ] {
            assert!(Digest::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_chain_id_is_the_digest_of_the_chain_below_and_the_layer() {
        // From the OCI image spec: ChainID(A|B) = Digest(ChainID(A) + " " + DiffID(B)).
        let a = Digest::of(b"a");
        let b = Digest::of(b"b");
        assert_eq!(chain_id(None, &a), a);
        assert_eq!(
            chain_id(Some(&a), &b),
            Digest::of(format!("{a} {b}").as_bytes())
        );
    }

    #[test]
    fn what_is_read_or_written_is_hashed() {
        let mut reader = Hashing::new(&b"hello"[..]);
        let mut out = Hashing::new(Vec::new());
        io::copy(&mut reader, &mut out).unwrap();
        let (read, n, _) = reader.finish();
        let (written, m, bytes) = out.finish();
        assert_eq!((read, n), (Digest::of(b"hello"), 5));
        assert_eq!((written, m), (Digest::of(&bytes), 5));
    }
}
