//! Opening, options, splits: on digits, and on CIFAR folders of the right sizes that are mostly holes.

use super::*;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

fn digits(options: DataOptions) -> Splits {
    Splits::open("digits", &options).unwrap()
}

/// A file of `len` bytes: `records` at its start, then zeros (which take no room on disk).
fn write_file(path: &Path, records: &[u8], len: u64) {
    let mut file = File::create(path).unwrap();
    file.write_all(records).unwrap();
    file.set_len(len).unwrap();
}

/// A folder of CIFAR-10 whose files start with one image of class `k` and pixels `10 k` in file `k` (the test file is 6).
fn cifar10() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let files = (1..=5).map(|k| format!("data_batch_{k}.bin")).chain(["test_batch.bin".to_string()]);
    for (k, file) in (1..).zip(files) {
        let mut record = vec![10 * k; 3073];
        record[0] = k;
        write_file(&dir.path().join(file), &record, 30_730_000);
    }
    dir
}

fn open(dir: &Path, options: DataOptions) -> Result<Splits> {
    Splits::open_below(&dir.display().to_string(), &options, &[])
}

#[test]
fn digits_are_ready_to_use() {
    let Splits { train, test, .. } = digits(DataOptions::default());
    assert_eq!(train.describe(), "digits: 1442 images of 3x8x8, 10 classes");
    assert_eq!(test.describe(), "digits: 355 images of 3x8x8, 10 classes");
    assert_eq!(train.augment, super::super::Augment { crop_pad: 1, flip: false, cutout: 0, photo: false });
    assert_eq!((train.mean.clone(), train.std.clone()), (test.mean.clone(), test.std.clone()));
    assert!((train.mean[0] - 0.305).abs() < 0.005 && (train.std[2] - 0.376).abs() < 0.005, "{:?}", train.std);
}

#[test]
fn a_cifar10_folder_opens_with_its_images_in_file_order() {
    let dir = cifar10();
    let splits = open(dir.path(), DataOptions::default()).unwrap();
    assert_eq!(splits.train.describe(), "cifar10: 50000 images of 3x32x32, 10 classes");
    assert_eq!(splits.test.describe(), "cifar10: 10000 images of 3x32x32, 10 classes");
    assert_eq!(splits.train.class_counts(), [49_995, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
    assert_eq!((splits.train.label(20_000), splits.train.image(20_000)), (3, &[30; 3072][..]));
    assert_eq!((splits.test.label(0), splits.test.image(0)), (6, &[60; 3072][..]));
    assert_eq!(splits.train.classes[3], "cat");
    assert_eq!(splits.train.augment, super::super::Augment { crop_pad: 4, flip: true, cutout: 0, photo: false });

    std::fs::write(dir.path().join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
    assert_eq!(open(dir.path(), DataOptions::default()).unwrap().train.classes[3], "d");
    std::fs::write(dir.path().join("batches.meta.txt"), "a\nb\n").unwrap();
    let message = open(dir.path(), DataOptions::default()).unwrap_err().to_string();
    assert!(message.ends_with("batches.meta.txt: got 2 class names, expected 10, one a line"), "{message}");
}

#[test]
fn a_cifar100_folder_opens_with_fine_labels() {
    let dir = tempfile::tempdir().unwrap();
    write_file(&dir.path().join("train.bin"), &[19, 99, 5], 153_700_000);
    write_file(&dir.path().join("test.bin"), &[3, 42, 5], 30_740_000);
    let splits = open(dir.path(), DataOptions { resize: Some(8), ..Default::default() }).unwrap();
    assert_eq!(splits.train.describe(), "cifar100: 50000 images of 3x8x8, 100 classes");
    assert_eq!((splits.train.label(0), splits.test.label(0)), (99, 42));
    assert_eq!((splits.train.classes[0].as_str(), splits.train.classes[99].as_str()), ("apple", "worm"));
}

#[test]
fn a_wrong_cifar_file_is_an_error_that_names_it() {
    type Damage = fn(&Path);
    let table: [(&str, Damage, &str); 4] = [
        (
            "data_batch_4.bin",
            |p| std::fs::remove_file(p).unwrap(),
            "got no such file, expected a file of 30730000 bytes",
        ),
        ("data_batch_2.bin", |p| write_file(p, &[], 30_729_999), "got 30729999 bytes, expected 30730000 bytes"),
        ("test_batch.bin", |p| write_file(p, &[], 30_733_073), "got 30733073 bytes, expected 30730000 bytes"),
        (
            "test_batch.bin",
            |p| {
                let mut file = File::options().write(true).open(p).unwrap();
                file.seek(SeekFrom::Start(3073 * 7)).unwrap();
                file.write_all(&[10]).unwrap();
            },
            "got label 10 in record 7 (byte 21511), expected a label of 0..=9",
        ),
    ];
    for (file, damage, expected) in table {
        let dir = cifar10();
        damage(&dir.path().join(file));
        let message = open(dir.path(), DataOptions::default()).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}: {expected}", dir.path().join(file).display())), "{message}");
    }
}

/// A pickle, protocol 2, of a dictionary with `data` and `labels`, as Python 2 wrote the published files.
fn imagenet16_batch(labels: &[u16], first_pixel: u8) -> Vec<u8> {
    let mut bytes =
        b"\x80\x02}q\x01(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K"
            .to_vec();
    bytes.push(labels.len() as u8);
    bytes.extend(b"M\x00\x03\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
    bytes.extend((768 * labels.len() as u32).to_le_bytes());
    bytes.extend((0..768 * labels.len()).map(|i| if i % 768 == 0 { first_pixel } else { (i / 768) as u8 }));
    bytes.extend(b"tbU\x06labels](");
    labels.iter().for_each(|l| bytes.extend([&b"M"[..], &l.to_le_bytes()].concat()));
    bytes.extend(b"eu.");
    bytes
}

#[test]
fn imagenet16_120_keeps_the_first_120_classes_of_its_pickled_batches() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(dir.path().join(name), bytes).unwrap();
    (1..=10)
        .for_each(|k| write(&format!("train_data_batch_{k}"), imagenet16_batch(&[k, 121, 120, 1000], 100 + k as u8)));
    write("val_data", imagenet16_batch(&[7, 500], 9));
    let splits = open(dir.path(), DataOptions::default()).unwrap();
    assert_eq!(splits.train.describe(), "imagenet16-120: 20 images of 3x16x16, 120 classes");
    assert_eq!((splits.train.label(2), splits.train.label(3), splits.train.image(2)[0]), (1, 119, 102));
    assert_eq!(splits.train.image(3)[1..768], [2; 767], "the third image of the second file");
    assert_eq!((splits.test.len(), splits.test.label(0), splits.test.image(0)[0]), (1, 6, 9));

    let (good, wrong) =
        (imagenet16_batch(&[1], 0), "a dictionary with `data` [n, 768] of bytes, and n `labels` of 1..=1000");
    for (bytes, message) in [
        (good[..good.len() - 3].to_vec(), "got the end, where 1 bytes more should be".to_string()),
        (imagenet16_batch(&[0], 0), format!("got label 0 of image 0, expected {wrong}")),
        (b"}.".to_vec(), format!("got no entry `data`, expected {wrong}")),
        (b"cos\nsystem\n(S'true'\ntR.".to_vec(), "got the name of a function, `os.system`".into()),
    ] {
        write("train_data_batch_4", bytes);
        let error = open(dir.path(), DataOptions::default()).unwrap_err().to_string();
        assert!(error.contains("train_data_batch_4: ") && error.contains(&message), "{error}");
    }
    std::fs::remove_file(dir.path().join("val_data")).unwrap();
    (1..=10).for_each(|k| write(&format!("train_data_batch_{k}"), imagenet16_batch(&[1], 0)));
    let error = open(dir.path(), DataOptions::default()).unwrap_err().to_string();
    assert!(error.contains("val_data: got no such file"), "{error}");
}

#[test]
fn resize_gives_smaller_images_and_suitable_crops() {
    let Splits { train, test, .. } = digits(DataOptions { resize: Some(4), ..Default::default() });
    let whole = digits(DataOptions::default()).train;
    assert_eq!((train.shape, test.shape, train.augment.crop_pad), ((3, 4, 4), (3, 4, 4), 1));
    let sum: u32 = [0, 1, 8, 9].iter().map(|&k| u32::from(whole.image(0)[k])).sum();
    assert_eq!(u32::from(train.image(0)[0]), (sum + 2) / 4);
    let message =
        Splits::open("digits", &DataOptions { resize: Some(3), ..Default::default() }).unwrap_err().to_string();
    assert_eq!(message, "resize: got 3, expected a side that divides 8: 1, 2, 4, 8");
}

#[test]
fn limit_keeps_so_many_training_images_of_each_class_in_their_order() {
    let limited = |limit, seed| digits(DataOptions { limit: Some(limit), seed, ..Default::default() });
    let whole = digits(DataOptions::default());
    for limit in [1, 20, 140] {
        assert_eq!(limited(limit, 0).train.class_counts(), [limit; 10]);
    }
    assert_eq!(limited(1000, 0).train.class_counts(), whole.train.class_counts());
    assert_eq!(limited(5, 0).test.len(), whole.test.len());

    // Position of each limited image in the whole set, looked for behind the one before it.
    let positions = |limit, seed| {
        let train = limited(limit, seed).train;
        (0..train.len()).fold(Vec::new(), |mut found, i| {
            let mut rest = found.last().map_or(0, |p| p + 1)..whole.train.len();
            found.push(rest.find(|&p| whole.train.image(p) == train.image(i)).expect("in order"));
            found
        })
    };
    assert_eq!(positions(20, 7), positions(20, 7));
    assert_ne!(positions(20, 7), positions(20, 8));
    assert!(positions(5, 7).iter().all(|p| positions(20, 7).contains(p)), "a smaller limit is part of a larger one");
    assert!(Splits::open("digits", &DataOptions { limit: Some(0), ..Default::default() }).is_err());
}

#[test]
fn a_split_is_stratified_disjoint_complete_and_seeded() {
    let train = digits(DataOptions::default()).train;
    for fraction in [0.1, 0.5, 0.8] {
        let (a, b) = train.split(fraction, 3).unwrap();
        assert_eq!(a.len(), (fraction * train.len() as f64).round() as usize, "{fraction}");
        for (part, whole) in a.class_counts().iter().zip(train.class_counts()) {
            assert!((*part as f64 - fraction * whole as f64).abs() < 1.0, "{fraction}: {part} of {whole}");
        }
        let mut all: Vec<u32> = a.indices.iter().chain(b.indices.iter()).copied().collect();
        all.sort_unstable();
        assert_eq!(all, *train.indices, "{fraction}");
        assert!(a.indices.is_sorted() && b.indices.is_sorted());
        assert_eq!(train.split(fraction, 3).unwrap().0.indices, a.indices);
        assert_ne!(train.split(fraction, 4).unwrap().0.indices, a.indices);
    }
}

#[test]
fn a_split_of_a_part_stays_within_it() {
    let (half, other) = digits(DataOptions::default()).train.split(0.5, 0).unwrap();
    let (quarter, _) = half.split(0.5, 0).unwrap();
    assert!(quarter.indices.iter().all(|i| half.indices.contains(i) && !other.indices.contains(i)));
    assert!(Arc::ptr_eq(&quarter.pixels, &other.pixels), "parts share their pixels");
}

#[test]
fn a_fraction_that_leaves_no_two_parts_is_an_error() {
    let few = digits(DataOptions { limit: Some(1), ..Default::default() }).train;
    assert_eq!(few.split(0.5, 0).unwrap().0.len(), 5);
    for fraction in [0.0, 1.0, -0.5, f64::NAN, 0.01] {
        let message = few.split(fraction, 0).unwrap_err().to_string();
        assert!(message.starts_with("split fraction: got "), "{message}");
    }
}

#[test]
fn take_draws_so_many_different_images() {
    let train = digits(DataOptions::default()).train;
    let (few, more) = (train.take(50, 1), train.take(200, 1));
    assert_eq!((few.len(), more.len(), train.take(9999, 1).len()), (50, 200, train.len()));
    assert_eq!(few.indices[..], more.indices[..50]);
    assert_ne!(few.indices, train.take(50, 2).indices);
    let mut all = more.indices.to_vec();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 200);
}

#[test]
fn the_fingerprint_tells_bytes_and_options_apart() {
    let of = |resize, limit, seed| digits(DataOptions { resize, limit, seed, ..Default::default() }).fingerprint;
    let plain = of(None, None, 0);
    assert_eq!(plain.len(), 32);
    assert_eq!([of(None, None, 0), of(None, None, 5), of(Some(8), None, 0)], [&plain; 3].map(String::clone));
    let others = [of(Some(4), None, 0), of(None, Some(9), 0), of(None, Some(9), 1), of(None, Some(8), 0)];
    for (i, other) in others.iter().enumerate() {
        assert!(*other != plain && !others[..i].contains(other), "{i}");
    }
    let dir = cifar10();
    let before = open(dir.path(), DataOptions::default()).unwrap().fingerprint;
    let mut file = File::options().write(true).open(dir.path().join("data_batch_5.bin")).unwrap();
    file.seek(SeekFrom::Start(30_729_999)).unwrap();
    file.write_all(&[1]).unwrap();
    assert_ne!(open(dir.path(), DataOptions::default()).unwrap().fingerprint, before);
}
