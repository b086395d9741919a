//! Folders of data as people have them, through the binary: what is read, what is left out and said, what is refused.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use std::path::Path;

/// Exit code, stdout and stderr of `isdarts-host ARGS` in `dir`.
fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("isdarts-host").unwrap();
    let output = command.current_dir(dir).env("ISDARTS_CACHE", dir.join("cache")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// The same, of what must go well: all that it said.
fn said(dir: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(dir, args);
    assert_eq!(code, 0, "{args:?}\n{out}{err}");
    out + &err
}

/// The same, of what must be refused.
fn refused(dir: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(dir, args);
    assert_eq!(code, 1, "{args:?}\n{out}{err}");
    err
}

/// A picture of its own, in the format of its ending or in `format`: 24 bits of its path are in its colours, so that of a few dozen
/// pictures in a folder of any name no two are alike (8 bits made a test image a training image in one run of eight).
fn picture(path: &Path, format: Option<image::ImageFormat>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let salt = path.to_string_lossy().bytes().fold(7u32, |a, b| a.wrapping_mul(31).wrapping_add(u32::from(b)));
    let pixel = |x: u32, y: u32| Rgb([1, 2, 3].map(|c: u32| ((x * 7 + y * 13) * c + (salt >> (8 * c - 8))) as u8));
    let picture = RgbImage::from_fn(16, 16, pixel);
    match format {
        Some(format) => picture.save_with_format(path, format).unwrap(),
        None => picture.save(path).unwrap(),
    }
}

/// Two classes, `train` and `test`, three pictures each.
fn classes(dir: &Path) {
    for (split, class, i) in ["train", "test"]
        .iter()
        .flat_map(|s| ["cat", "dog"].map(|c| (s, c)))
        .flat_map(|(s, c)| (0..3).map(move |i| (s, c, i)))
    {
        picture(&dir.join(split).join(class).join(format!("{i}.png")), None);
    }
}

#[test]
fn a_hidden_folder_is_no_class_and_is_said() {
    for inside in [None, Some("000-checkpoint.png")] {
        let dir = tempfile::tempdir().unwrap();
        classes(dir.path());
        std::fs::create_dir(dir.path().join("train/.ipynb_checkpoints")).unwrap();
        if let Some(name) = inside {
            picture(&dir.path().join("train/.ipynb_checkpoints").join(name), None);
        }
        for args in
            [&["data", "info", "."][..], &["data", "check", "."], &["-e", "data().train.classes", "--data", "."]]
        {
            let said = said(dir.path(), args);
            assert!(said.contains("cat") && said.contains("dog") && !said.contains("ipynb_checkpoints,"), "{said}");
            assert!(said.contains("hidden: 1 (train/.ipynb_checkpoints)"), "{said}");
        }
    }
}

#[test]
fn pictures_of_every_ending_are_read_in_folders_below_a_class_too() {
    let dir = tempfile::tempdir().unwrap();
    let jpeg = Some(image::ImageFormat::Jpeg);
    for (split, class) in ["train", "test"].iter().flat_map(|s| ["cat", "dog"].map(|c| (s, c))) {
        let at = |name: &str| dir.path().join(split).join(class).join(name);
        ["0.png", "1.JPEG", "2.webp", "3.bmp", "4.tif", "5.gif", "8.ppm", "below/9.PNG", "be/lo/w.pgm"]
            .iter()
            .for_each(|n| {
                let format = n.ends_with("pgm").then_some(image::ImageFormat::Pnm);
                picture(&at(n), format);
            });
        [("6.jfif", jpeg), ("7.jpe", jpeg), ("without", jpeg)].iter().for_each(|(n, f)| picture(&at(n), *f));
        std::fs::write(at("notes.txt"), "no picture").unwrap();
    }
    let said = said(dir.path(), &["data", "info", "."]);
    assert!(said.contains(": 24 images of 3x16x16, 2 classes") && said.contains("files        48 read"), "{said}");
    assert!(said.contains("left out     no pictures by their names: 4 (train/cat/notes.txt, ...)"), "{said}");
}

#[test]
fn what_lies_beside_and_holds_nothing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    classes(dir.path());
    std::fs::create_dir_all(dir.path().join("train/horse/none")).unwrap();
    picture(&dir.path().join("train/stray.png"), None);
    picture(&dir.path().join("val/cat/1.png"), None);
    let out = dir.path().parent().unwrap().join(format!("run-{}", std::process::id()));
    let said = said(dir.path(), &["-e", "data().train.classes.len", "--data", "."]);
    for part in [
        "data: pictures: 6 images of 3x16x16, 2 classes for training, 6 for testing; left out: ",
        "folders without pictures: 2 (train/horse",
        "outside the folders of classes: 1 (train/stray.png)",
        "beside what is read: ",
    ] {
        assert!(said.contains(part), "`{part}` in\n{said}");
    }
    assert!(!out.exists());
}

#[test]
fn a_truncated_picture_is_refused_by_its_name() {
    for format in ["jpg", "png", "webp", "bmp", "tif", "gif"] {
        let dir = tempfile::tempdir().unwrap();
        classes(dir.path());
        for i in [4, 5] {
            let path = dir.path().join(format!("train/cat/{i}.{format}"));
            let noise = |x: u32, y: u32| Rgb([x * y % 251, x * 37 % 241, y * 91 % 239].map(|c| c as u8));
            RgbImage::from_fn(64, 64, noise).save(&path).unwrap();
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() * 6 / 10]).unwrap();
        }
        let message = refused(dir.path(), &["data", "info", "."]);
        assert!(message.contains(&format!("train/cat/4.{format}: got a file that does not decode")), "{message}");
        assert!(format != "jpg" || message.contains("and 1 more such files"), "{message}");
    }
}

#[test]
fn folders_of_classes_alone_are_divided_on_request_by_the_seed() {
    let dir = tempfile::tempdir().unwrap();
    for (class, i) in ["cat", "dog"].into_iter().flat_map(|c| (0..10).map(move |i| (c, i))) {
        picture(&dir.path().join("pets").join(class).join(format!("{i}.png")), None);
    }
    let message = refused(dir.path(), &["data", "info", "pets"]);
    assert!(message.contains("folders: 2 (cat, dog)") && message.contains("--set split=0.8"), "{message}");
    let info = said(dir.path(), &["data", "info", "pets", "--split", "0.8"]);
    assert!(
        info.contains("pets: 16 images of 3x16x16, 2 classes, 8 a class") && info.contains("4 images, 2 a class"),
        "{info}"
    );
    let print = "data().train.classes.to_string() + data().test.len";
    let one = said(dir.path(), &["-e", print, "--data", "pets", "--set", "split=0.7"]);
    assert!(one.contains("\"cat\", \"dog\"") && one.contains('6'), "{one}");
    for (args, part) in [
        (&["data", "info", "pets", "--split", "1.5"][..], "split: got 1.5, expected a number between 0 and 1"),
        (&["data", "info", "digits", "--split", "0.5"], "split of the data set digits"),
    ] {
        let message = refused(dir.path(), args);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_folder_that_is_no_data_set_is_described_with_the_nearest_layout() {
    for (files, parts) in [
        (&[][..], &["nothing in it"][..]),
        (&["a.png", "b.png"], &["files: 2 (a.png, b.png)", "pictures in folders of their classes"]),
        (&["Train/cat/a.png"], &["folders: 1 (Train)", "the folder `Train` under the name train"]),
        (&["train/a.png"], &["folders: 1 (train)", "train/CLASS/*.jpg"]),
        (&["x.parquet", "y.csv"], &["files: 2 (x.parquet, y.csv)", "data_batch_1.bin (cifar10)"]),
        (&["cat/a.png", "dog/b.png"], &["folders: 2 (cat, dog)", "split=0.8"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("set")).unwrap();
        files.iter().for_each(|file| picture_or_text(&dir.path().join("set").join(file)));
        let message = refused(dir.path(), &["data", "info", "set"]);
        for part in parts {
            assert!(message.contains(part), "{files:?}: `{part}` in\n{message}");
        }
    }
}

fn picture_or_text(path: &Path) {
    match path.extension().is_some_and(|e| e == "png") {
        true => picture(path, None),
        false => std::fs::write(path, "text").unwrap(),
    }
}

#[test]
fn idx_files_with_a_dot_in_their_names_are_read() {
    let idx = |axes: &[u32], data: Vec<u8>| -> Vec<u8> {
        let lengths = axes.iter().flat_map(|n| n.to_be_bytes());
        [0, 0, 8, axes.len() as u8].into_iter().chain(lengths).chain(data).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    for (stem, n) in [("train", 20), ("t10k", 10)] {
        let write =
            |what: &str, bytes: Vec<u8>| std::fs::write(dir.path().join(format!("{stem}-{what}")), bytes).unwrap();
        write("images.idx3-ubyte", idx(&[n, 4, 4], (0..n * 16).map(|i| i as u8).collect()));
        write("labels.idx1-ubyte", idx(&[n], (0..n).map(|i| (i % 10) as u8).collect()));
    }
    let said = said(dir.path(), &["data", "info", "."]);
    assert!(said.contains("mnist: 20 images of 3x4x4, 10 classes, 2 a class"), "{said}");
}

/// A pickle, protocol 2, of a dictionary with `data` and `labels`, as Python 2 wrote the published files: images of one value.
fn batch(key: &str, labels: &[u8]) -> Vec<u8> {
    let mut bytes =
        b"\x80\x02}q\x01(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K"
            .to_vec();
    bytes.push(labels.len() as u8);
    bytes.extend(b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
    bytes.extend((3072 * labels.len() as u32).to_le_bytes());
    bytes.extend(labels.iter().flat_map(|l| [*l * 10; 3072]));
    bytes.extend(b"tbU");
    bytes.push(key.len() as u8);
    bytes.extend(key.bytes());
    bytes.extend(b"](");
    labels.iter().for_each(|l| bytes.extend([b'K', *l]));
    bytes.extend(b"eu.");
    bytes
}

#[test]
fn cifar_as_torchvision_leaves_it_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for i in 1..=5 {
        write(&format!("cifar-10-batches-py/data_batch_{i}"), &batch("labels", &[i, 9]));
    }
    write("cifar-10-batches-py/test_batch", &batch("labels", &[3]));
    let names: String = (0..10).map(|i| format!("U\x02c{i}")).collect();
    let meta = [&b"\x80\x02}U\x0blabel_names]("[..], names.as_bytes(), b"es."].concat();
    write("cifar-10-batches-py/batches.meta", &meta);
    write("hundred/cifar-100-python/train", &batch("fine_labels", &[1, 20]));
    write("hundred/cifar-100-python/test", &batch("fine_labels", &[2]));
    for folder in ["cifar-10-batches-py", "."] {
        let said = said(dir.path(), &["data", "info", folder]);
        assert!(said.contains("cifar10: 10 images of 3x32x32, 10 classes, 0 to 5 a class"), "{said}");
        assert!(said.contains("c0, c1, c2"), "{said}");
    }
    let said = said(dir.path(), &["data", "info", "hundred"]);
    assert!(
        said.contains("cifar100: 2 images of 3x32x32, 100 classes") && said.contains("apple, aquarium_fish"),
        "{said}"
    );
    write("cifar-10-batches-py/test_batch", &batch("labels", &[10]));
    let message = refused(dir.path(), &["data", "info", "cifar-10-batches-py"]);
    assert!(
        message.contains("test_batch: got label 10 of image 0, expected a dictionary with `data` [n, 3072]"),
        "{message}"
    );
}

#[test]
fn a_test_image_that_is_trained_on_is_named_and_how_pictures_are_sized_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path().join("d");
    for i in 0..12u8 {
        let path = d.join(["train", "test"][usize::from(i / 6)]).join(["cat", "dog"][usize::from(i / 3 % 2)]);
        std::fs::create_dir_all(&path).unwrap();
        RgbImage::from_pixel(16, 16, Rgb([20 * i, 0, 0])).save(path.join(format!("{}.png", i % 3))).unwrap();
    }
    assert!(said(dir.path(), &["data", "check", "d"]).contains("0 test images are training images too"));
    std::fs::copy(d.join("train/dog/1.png"), d.join("test/cat/1.png")).unwrap();
    let sized = "pictures     of another size: the shorter side scaled to 8/7 of the side, then the middle";
    assert!(said(dir.path(), &["data", "info", "d"]).contains(sized));
    let (code, out, err) = run(dir.path(), &["data", "check", "d"]);
    for part in ["1 test image is a training image too", "  test image 1 (cat) is training image 4 (dog)"] {
        assert!(out.contains(part), "{part} in\n{out}");
    }
    assert!(code == 1 && err.contains("test images: got 1 of them among the training images, expected none"), "{err}");
}
