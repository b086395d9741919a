//! Getting data sets from their official addresses: resumed where a connection broke, checked against published sums.

use crate::error::{Error, Result};
use crate::interrupt;
use md5::{Digest, Md5};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A published file.
#[derive(Clone, Copy, Debug)]
struct Remote {
    /// Its name.
    file: &'static str,
    /// Its MD5 sum as published, in hex.
    md5: &'static str,
}

/// Where a data set is published.
#[derive(Clone, Copy, Debug)]
struct Catalogue {
    /// The name for `--data`.
    name: &'static str,
    /// The address that the names of its files are appended to.
    base: &'static str,
    files: &'static [Remote],
    /// The folder that its archive unpacks to, or that its files are put into.
    folder: &'static str,
}

const CATALOGUE: [Catalogue; 4] = [
    // Sums: the table on <https://www.cs.toronto.edu/~kriz/cifar.html>.
    Catalogue {
        name: "cifar10",
        base: "https://www.cs.toronto.edu/~kriz/",
        files: &[Remote { file: "cifar-10-binary.tar.gz", md5: "c32a1d4ab5d03f1284b67883e8d87530" }],
        folder: "cifar-10-batches-bin",
    },
    Catalogue {
        name: "cifar100",
        base: "https://www.cs.toronto.edu/~kriz/",
        files: &[Remote { file: "cifar-100-binary.tar.gz", md5: "03b5dce01913d631647c71ecec9e9cb8" }],
        folder: "cifar-100-binary",
    },
    // The mirror and the sums of torchvision.
    Catalogue {
        name: "mnist",
        base: "https://ossci-datasets.s3.amazonaws.com/mnist/",
        files: &[
            Remote { file: "train-images-idx3-ubyte.gz", md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873" },
            Remote { file: "train-labels-idx1-ubyte.gz", md5: "d53e105ee54ea40749a09fcbcd1e9432" },
            Remote { file: "t10k-images-idx3-ubyte.gz", md5: "9fb629c4189551a2d022fa330f9573f3" },
            Remote { file: "t10k-labels-idx1-ubyte.gz", md5: "ec29112dd5afa0611ce80d1b7f02629c" },
        ],
        folder: "mnist",
    },
    // Sums: the README of <https://github.com/zalandoresearch/fashion-mnist>.
    Catalogue {
        name: "fashion-mnist",
        base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        files: &[
            Remote { file: "train-images-idx3-ubyte.gz", md5: "8d4fb7e6c68d591d4c3dfef9ec88bf0d" },
            Remote { file: "train-labels-idx1-ubyte.gz", md5: "25c81989df183df01b3e8a0aad5dffbe" },
            Remote { file: "t10k-images-idx3-ubyte.gz", md5: "bef4ecab320f06d8554ea6380940ec79" },
            Remote { file: "t10k-labels-idx1-ubyte.gz", md5: "bb300cfdad3c16e7a12a480ee83cd310" },
        ],
        folder: "fashion-mnist",
    },
];

/// Sees bytes done, and of how many if that is known: the file, done, all.
pub type Watch<'a> = &'a dyn Fn(&str, u64, Option<u64>);

/// Download the data set `name` to a folder in `root` and unpack it; that folder. What is there already stays. `base`: a
/// mirror in place of the official address; the sums must be the same.
///
/// # Errors
/// An unknown name; an address that does not answer, or with something else; a sum that is not the published one; a disk
/// that is full. What has come so far stays, and the next call goes on from there.
pub fn get(name: &str, root: &Path, base: Option<&str>, watch: Watch) -> Result<PathBuf> {
    let set = CATALOGUE.iter().find(|c| c.name == name);
    let set = set.ok_or_else(|| Error::unknown_name("data set to download", name, CATALOGUE.iter().map(|c| c.name)))?;
    let base = base.unwrap_or(set.base);
    let base = format!("{}/", base.trim_end_matches('/'));
    fetch_set(set, root, &base, watch)
}

fn fetch_set(set: &Catalogue, root: &Path, base: &str, watch: Watch) -> Result<PathBuf> {
    let folder = root.join(set.folder);
    let is_archive = |r: &&Remote| r.file.ends_with(".tar.gz");
    let archive = set.files.iter().find(is_archive);
    if archive.is_some() && folder.is_dir() {
        return Ok(folder);
    }
    let into = if archive.is_some() { root } else { &folder };
    fs::create_dir_all(into).map_err(Error::io("create", into))?;
    for remote in set.files {
        let path = into.join(remote.file);
        if !path.exists() {
            fetch(&format!("{base}{}", remote.file), &path, remote.md5, watch)?;
        }
        if is_archive(&remote) {
            unpack(&path, root, set.folder)?;
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(folder)
}

/// Attempts in a row that bring nothing before it is given up.
const ATTEMPTS: usize = 4;

/// Download `url` to `path`, by way of `path.part`, which a later call goes on with.
fn fetch(url: &str, path: &Path, md5: &str, watch: Watch) -> Result<()> {
    let part = PathBuf::from(format!("{}.part", path.display()));
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let mut failures = 0;
    loop {
        let before = fs::metadata(&part).map_or(0, |m| m.len());
        match attempt(&agent, url, &part, before, watch)? {
            Outcome::Whole => break,
            Outcome::Broken(why) => {
                let more = fs::metadata(&part).is_ok_and(|m| m.len() > before);
                failures = if more { 0 } else { failures + 1 };
                if failures == ATTEMPTS {
                    let expected = "an answer with the whole file; what has come so far is kept, try again later";
                    return Err(Error::invalid(format!("download of {url}"), why, expected));
                }
                std::thread::sleep(Duration::from_millis(200 << failures));
            }
        }
    }
    let found = sum(&part)?;
    if found != md5 {
        fs::remove_file(&part).map_err(Error::io("remove", &part))?;
        return Err(Error::invalid(
            format!("download of {url}"),
            format!("MD5 {found}"),
            format!("{md5}, as published"),
        ));
    }
    fs::rename(&part, path).map_err(Error::io("write", path))
}

enum Outcome {
    Whole,
    /// The connection broke, in words.
    Broken(String),
}

/// One request, from byte `before` on. Errors are those that trying again does not mend.
fn attempt(agent: &ureq::Agent, url: &str, part: &Path, before: u64, watch: Watch) -> Result<Outcome> {
    interrupt::check()?;
    let mut request = agent.get(url);
    if before > 0 {
        request = request.header("Range", format!("bytes={before}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(e) => return Ok(Outcome::Broken(e.to_string())),
    };
    let append = match response.status().as_u16() {
        206 => true,
        200 => false,
        // There is nothing behind what is here: the sum will tell whether it is the file.
        416 => return Ok(Outcome::Whole),
        status if status >= 500 => return Ok(Outcome::Broken(format!("status {status}"))),
        status => return Err(Error::invalid(format!("download of {url}"), format!("status {status}"), "the file")),
    };
    let length = response.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let mut done = if append { before } else { 0 };
    let all = length.map(|n| done + n);
    let mut file = OpenOptions::new()
        .create(true)
        .append(append)
        .write(true)
        .truncate(!append)
        .open(part)
        .map_err(Error::io("write", part))?;
    let name = part.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        interrupt::check()?;
        match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                file.write_all(&buffer[..n]).map_err(Error::io("write", part))?;
                done += n as u64;
                watch(&name, done, all);
            }
            Err(e) => return Ok(Outcome::Broken(e.to_string())),
        }
    }
    file.sync_all().map_err(Error::io("write", part))?;
    match all {
        Some(all) if done < all => Ok(Outcome::Broken(format!("{done} of {all} bytes"))),
        _ => Ok(Outcome::Whole),
    }
}

/// MD5 of a file, in hex.
fn sum(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let (mut hash, mut buffer) = (Md5::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// Unpack `folder` of an archive into `root`: whole or not at all. Files elsewhere in the archive are left out.
fn unpack(archive: &Path, root: &Path, folder: &str) -> Result<()> {
    let file = File::open(archive).map_err(Error::io("read", archive))?;
    let temporary = root.join(format!("{folder}.unpacking"));
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(Error::io("remove", &temporary))?;
    }
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let wrong = |e: std::io::Error| Error::file(archive, e, "an archive that unpacks (tar.gz)");
    for entry in tar.entries().map_err(wrong)? {
        interrupt::check()?;
        let mut entry = entry.map_err(wrong)?;
        let path = entry.path().map_err(wrong)?.into_owned();
        let plain =
            path.components().all(|c| matches!(c, std::path::Component::Normal(_) | std::path::Component::CurDir));
        let Some(inside) = path.strip_prefix(".").unwrap_or(&path).strip_prefix(folder).ok().filter(|_| plain) else {
            continue;
        };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let to = temporary.join(inside);
        let parent = to.parent().unwrap_or(&temporary);
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        let mut out = File::create(&to).map_err(Error::io("write", &to))?;
        std::io::copy(&mut entry, &mut out).map_err(Error::io("write", &to))?;
    }
    if !temporary.is_dir() {
        return Err(Error::file(archive, format!("no file in a folder {folder}"), "the published archive"));
    }
    let to = root.join(folder);
    fs::rename(&temporary, &to).map_err(Error::io("write", to))
}

#[cfg(test)]
mod tests;
