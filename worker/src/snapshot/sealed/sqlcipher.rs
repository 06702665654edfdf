//! Pages of SQLCipher 4 with its default settings: AES-256-CBC with a random IV, then HMAC-SHA512 over both and the page's
//! number (<https://www.zetetic.net/sqlcipher/design/>, and `sqlcipher_page_cipher` in its source).

use std::num::NonZeroU32;

use aes::{
    Aes256,
    cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit, block_padding::NoPadding},
};
use aws_lc_rs::{hmac, pbkdf2};
use rand::Rng;

use super::format::{Format, MAGIC, PAGE_BYTES, SALT_BYTES, WrongTag};

const IV_BYTES: usize = 16;
const TAG_BYTES: usize = 64;
/// The bytes of a page that are encrypted; the IV and the tag follow.
const TEXT_BYTES: usize = PAGE_BYTES - IV_BYTES - TAG_BYTES;
/// The key of the HMAC is derived from the key of the cipher: its salt is the file's with each byte changed by this.
const TAG_SALT_MASK: u8 = 0x3a;
const TAG_KEY_ITERATIONS: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// One file's keys.
pub(super) struct Sqlcipher {
    key: [u8; 32],
    salt: [u8; SALT_BYTES],
    tags: hmac::Key,
}

impl Sqlcipher {
    /// Returns the format of the file with this raw key and this salt.
    pub(super) fn new(key: &[u8; 32], salt: [u8; SALT_BYTES]) -> Self {
        let mut of_tags = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            TAG_KEY_ITERATIONS,
            &salt.map(|byte| byte ^ TAG_SALT_MASK),
            key,
            &mut of_tags,
        );
        Self {
            key: *key,
            salt,
            tags: hmac::Key::new(hmac::HMAC_SHA512, &of_tags),
        }
    }

    /// Returns what is authenticated of a page, and its number as it is.
    fn authenticated(number: u32, page: &[u8; PAGE_BYTES]) -> Vec<u8> {
        let page = &page[start(number)..TEXT_BYTES + IV_BYTES];
        [page, &number.to_le_bytes()].concat()
    }
}

impl Format for Sqlcipher {
    const RESERVED: u8 = (IV_BYTES + TAG_BYTES) as u8;

    fn seal(&self, number: u32, page: &mut [u8; PAGE_BYTES]) {
        let mut iv = [0; IV_BYTES];
        rand::rng().fill(&mut iv);
        let cipher = cbc::Encryptor::<Aes256>::new(&self.key.into(), &iv.into());
        let text = &mut page[start(number)..TEXT_BYTES];
        let length = text.len();
        cipher
            .encrypt_padded_mut::<NoPadding>(text, length)
            .expect("it consists of whole blocks");
        page[TEXT_BYTES..][..IV_BYTES].copy_from_slice(&iv);
        let tag = hmac::sign(&self.tags, &Self::authenticated(number, page));
        page[TEXT_BYTES + IV_BYTES..].copy_from_slice(tag.as_ref());
        if number == 1 {
            page[..SALT_BYTES].copy_from_slice(&self.salt);
        }
    }

    fn open(&self, number: u32, page: &mut [u8; PAGE_BYTES]) -> Result<(), WrongTag> {
        let tag = &page[TEXT_BYTES + IV_BYTES..];
        hmac::verify(&self.tags, &Self::authenticated(number, page), tag).map_err(|_| WrongTag)?;
        let mut iv = [0; IV_BYTES];
        iv.copy_from_slice(&page[TEXT_BYTES..][..IV_BYTES]);
        let cipher = cbc::Decryptor::<Aes256>::new(&self.key.into(), &iv.into());
        cipher
            .decrypt_padded_mut::<NoPadding>(&mut page[start(number)..TEXT_BYTES])
            .expect("it consists of whole blocks");
        page[TEXT_BYTES..].fill(0);
        if number == 1 {
            page[..SALT_BYTES].copy_from_slice(MAGIC);
        }
        Ok(())
    }
}

/// Returns where the encrypted bytes of a page begin: in the first one, behind the salt.
fn start(number: u32) -> usize {
    if number == 1 { SALT_BYTES } else { 0 }
}
