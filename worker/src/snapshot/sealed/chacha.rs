//! Pages of SQLite3MultipleCiphers with its cipher `chacha20` and default settings: ChaCha20, then Poly1305, with one-time
//! keys from a random nonce and the page's number
//! (<https://utelle.github.io/SQLite3MultipleCiphers/docs/ciphers/cipher_chacha20/>, and `EncryptPageChaCha20Cipher` in its
//! source).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use chacha20::{
    ChaCha20,
    cipher::{KeyIvInit, StreamCipher, StreamCipherSeek},
};
use poly1305::{Poly1305, universal_hash::KeyInit};
use rand::Rng;

use super::format::{Format, MAGIC, PAGE_BYTES, SALT_BYTES, WrongTag};

/// 12 bytes for the cipher, and 4 that the block counter begins with.
const NONCE_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// The bytes of a page that are encrypted; nonce and tag follow.
const TEXT_BYTES: usize = PAGE_BYTES - NONCE_BYTES - TAG_BYTES;
/// The first page keeps these bytes as they are: after the salt, what SQLite has to know before it can read a page.
const FIRST_PLAIN_BYTES: usize = 24;
/// The bytes of a block of ChaCha20.
const BLOCK_BYTES: u64 = 64;

/// One file's key.
pub(super) struct Chacha {
    key: [u8; 32],
    salt: [u8; SALT_BYTES],
}

impl Chacha {
    /// Returns the format of the file with this raw key and this salt.
    pub(super) fn new(key: &[u8; 32], salt: [u8; SALT_BYTES]) -> Self {
        Self { key: *key, salt }
    }

    /// Returns the tag of a sealed page, and what turns its text into the sealed one and back.
    fn keys(&self, number: u32, page: &[u8; PAGE_BYTES]) -> (Poly1305, ChaCha20) {
        let nonce = &page[TEXT_BYTES..][..NONCE_BYTES];
        let (nonce, counter) = nonce.split_last_chunk::<4>().expect("it has 16 bytes");
        let counter = u32::from_le_bytes(*counter) ^ number;
        let mut once = [0; 64];
        stream(&self.key, nonce, counter).apply_keystream(&mut once);
        let (of_tag, of_text) = once.split_at(32);
        (
            Poly1305::new(of_tag.into()),
            stream(of_text, nonce, counter.wrapping_add(1)),
        )
    }
}

impl Format for Chacha {
    const RESERVED: u8 = (NONCE_BYTES + TAG_BYTES) as u8;

    fn seal(&self, number: u32, page: &mut [u8; PAGE_BYTES]) {
        rand::rng().fill(&mut page[TEXT_BYTES..][..NONCE_BYTES]);
        let (tag, mut text) = self.keys(number, page);
        text.apply_keystream(&mut page[start(number)..TEXT_BYTES]);
        if number == 1 {
            page[..SALT_BYTES].copy_from_slice(&self.salt);
        }
        let (sealed, place) = page.split_at_mut(TEXT_BYTES + NONCE_BYTES);
        place.copy_from_slice(&tag.compute_unpadded(sealed));
    }

    fn open(&self, number: u32, page: &mut [u8; PAGE_BYTES]) -> Result<(), WrongTag> {
        let (tag, mut text) = self.keys(number, page);
        let (sealed, found) = page.split_at(TEXT_BYTES + NONCE_BYTES);
        verify_slices_are_equal(&tag.compute_unpadded(sealed), found).map_err(|_| WrongTag)?;
        text.apply_keystream(&mut page[start(number)..TEXT_BYTES]);
        page[TEXT_BYTES..].fill(0);
        if number == 1 {
            page[..SALT_BYTES].copy_from_slice(MAGIC);
        }
        Ok(())
    }
}

/// Returns where the encrypted bytes of a page begin.
fn start(number: u32) -> usize {
    if number == 1 { FIRST_PLAIN_BYTES } else { 0 }
}

/// Returns the key stream from a block on. Its number wraps, which a page is too small to reach twice.
fn stream(key: &[u8], nonce: &[u8], block: u32) -> ChaCha20 {
    let mut stream = ChaCha20::new(key.into(), nonce.into());
    stream.seek(u64::from(block) * BLOCK_BYTES);
    stream
}
