//! The last batch of an epoch may be of one image, which leaves batch norm with one value a channel where the image has shrunk to
//! one pixel; their variance does not exist. It is said before the first step.

use crate::error::{Error, Result};

/// Batch sizes that the error names on either side.
const NAMED: usize = 2;

/// An error if `images` in batches of `batch_size` end with one that leaves a batch norm, on `pixels` pixels an image or more,
/// fewer than two values a channel.
pub(super) fn check(images: usize, batch_size: usize, pixels: usize) -> Result<()> {
    let last = |size: usize| if images.is_multiple_of(size) { size.min(images) } else { images % size };
    let fits = |size: &usize| last(*size).saturating_mul(pixels) >= 2;
    if images == 0 || batch_size == 0 || fits(&batch_size) {
        return Ok(());
    }
    let got = format!("1 image of 1 pixel: {images} images in batches of {batch_size} leave {}", last(batch_size));
    let mut sizes: Vec<usize> = (1..batch_size.min(images)).rev().filter(fits).take(NAMED).collect();
    sizes.extend((batch_size + 1..=images).filter(fits).take(NAMED));
    sizes.sort_unstable();
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let expected = match sizes.is_empty() {
        true => "at least 2 images, or larger ones".to_string(),
        false => format!("2 values a channel or more; a batch_size that fits: {}", sizes.join(", ")),
    };
    Err(Error::invalid("batch norm on the last batch of an epoch", got, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_batch_of_one_value_a_channel_is_refused_with_batch_sizes_that_fit() {
        for (images, batch_size, pixels) in
            [(1442, 131, 4), (1442, 130, 1), (64, 64, 1), (3, 100, 1), (0, 5, 1), (1, 1, 2)]
        {
            check(images, batch_size, pixels).unwrap();
        }
        let what = "batch norm on the last batch of an epoch: got 1 image of 1 pixel:";
        for (images, batch_size, text) in [
            (
                1442,
                131,
                "1442 images in batches of 131 leave 1, expected 2 values a channel or more; a batch_size that fits: 129, 130, 132, 133",
            ),
            (
                5,
                1,
                "5 images in batches of 1 leave 1, expected 2 values a channel or more; a batch_size that fits: 3, 5",
            ),
            (1, 64, "1 images in batches of 64 leave 1, expected at least 2 images, or larger ones"),
        ] {
            assert_eq!(check(images, batch_size, 1).unwrap_err().to_string(), format!("{what} {text}"));
        }
    }
}
