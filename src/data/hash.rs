//! The fingerprint of a data set: XXH3, 128 bits. It tells whether two runs saw the same data; it is no proof against forgery.

use super::images::Images;
use xxhash_rust::xxh3::Xxh3;

/// A running fingerprint.
pub(super) struct Hash(Xxh3);

impl Hash {
    /// The fingerprint of nothing yet.
    pub fn new() -> Self {
        Hash(Xxh3::new())
    }

    /// Take in a piece of text.
    pub fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    /// Take in shape, classes and pixels.
    pub fn images(&mut self, images: &Images) {
        for n in [images.labels.len(), images.channels, images.side] {
            self.0.update(&(n as u64).to_le_bytes());
        }
        for label in &images.labels {
            self.0.update(&label.to_le_bytes());
        }
        self.0.update(&images.pixels);
    }

    /// 32 hex digits.
    pub fn finish(&self) -> String {
        format!("{:032x}", self.0.digest128())
    }
}
