//! Getting data sets from their official addresses: resumed where a connection broke, checked against published sums.

use crate::error::{Error, Result};
use crate::files;
use crate::interrupt;
use md5::{Digest, Md5};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A published file.
#[derive(Clone, Copy, Debug)]
struct Remote {
    /// Its name.
    file: &'static str,
    /// Its MD5 sum as published, in hex.
    md5: &'static str,
    /// Megabytes that it does not exceed.
    megabytes: u64,
}

/// Where a data set is published.
#[derive(Clone, Copy, Debug)]
struct Catalogue {
    /// The name for `--data`.
    name: &'static str,
    /// The address that the names of its files are appended to.
    base: &'static str,
    files: &'static [Remote],
    /// What is in that folder when an archive is unpacked: names and bytes.
    holds: &'static [(&'static str, u64)],
    /// The folder that its archive unpacks to, or that its files are put into.
    folder: &'static str,
}

const CATALOGUE: [Catalogue; 4] = [
    // Sums: the table on <https://www.cs.toronto.edu/~kriz/cifar.html>.
    Catalogue {
        name: "cifar10",
        base: "https://www.cs.toronto.edu/~kriz/",
        files: &[Remote { file: "cifar-10-binary.tar.gz", md5: "c32a1d4ab5d03f1284b67883e8d87530", megabytes: 180 }],
        holds: &[
            ("data_batch_1.bin", 30_730_000),
            ("data_batch_2.bin", 30_730_000),
            ("data_batch_3.bin", 30_730_000),
            ("data_batch_4.bin", 30_730_000),
            ("data_batch_5.bin", 30_730_000),
            ("test_batch.bin", 30_730_000),
        ],
        folder: "cifar-10-batches-bin",
    },
    Catalogue {
        name: "cifar100",
        base: "https://www.cs.toronto.edu/~kriz/",
        files: &[Remote { file: "cifar-100-binary.tar.gz", md5: "03b5dce01913d631647c71ecec9e9cb8", megabytes: 180 }],
        holds: &[("train.bin", 153_700_000), ("test.bin", 30_740_000)],
        folder: "cifar-100-binary",
    },
    // The mirror and the sums of torchvision.
    Catalogue {
        name: "mnist",
        base: "https://ossci-datasets.s3.amazonaws.com/mnist/",
        files: &[
            Remote { file: "train-images-idx3-ubyte.gz", md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873", megabytes: 30 },
            Remote { file: "train-labels-idx1-ubyte.gz", md5: "d53e105ee54ea40749a09fcbcd1e9432", megabytes: 1 },
            Remote { file: "t10k-images-idx3-ubyte.gz", md5: "9fb629c4189551a2d022fa330f9573f3", megabytes: 6 },
            Remote { file: "t10k-labels-idx1-ubyte.gz", md5: "ec29112dd5afa0611ce80d1b7f02629c", megabytes: 1 },
        ],
        holds: &[],
        folder: "mnist",
    },
    // Sums: the README of <https://github.com/zalandoresearch/fashion-mnist>.
    Catalogue {
        name: "fashion-mnist",
        base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        files: &[
            Remote { file: "train-images-idx3-ubyte.gz", md5: "8d4fb7e6c68d591d4c3dfef9ec88bf0d", megabytes: 30 },
            Remote { file: "train-labels-idx1-ubyte.gz", md5: "25c81989df183df01b3e8a0aad5dffbe", megabytes: 1 },
            Remote { file: "t10k-images-idx3-ubyte.gz", md5: "bef4ecab320f06d8554ea6380940ec79", megabytes: 6 },
            Remote { file: "t10k-labels-idx1-ubyte.gz", md5: "bb300cfdad3c16e7a12a480ee83cd310", megabytes: 1 },
        ],
        holds: &[],
        folder: "fashion-mnist",
    },
];

/// The data sets that can be had.
pub fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|catalogue| catalogue.name)
}

/// Sees bytes done, and of how many if that is known: the file, done, all.
pub type Watch<'a> = &'a dyn Fn(&str, u64, Option<u64>);

/// Download the data set `name` to a folder in `root` and unpack it; gives that folder. What is there already stays. `base`: a
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
    if archive.is_some() && is_unpacked(set, &folder)? {
        return Ok(folder);
    }
    let into = if archive.is_some() { root } else { &folder };
    fs::create_dir_all(into).map_err(Error::io("create", into))?;
    for remote in set.files {
        let path = into.join(remote.file);
        let url = format!("{base}{}", remote.file);
        match path.exists().then(|| sum(&path)).transpose()? {
            Some(found) if found == remote.md5 => {}
            None => fetch(&url, &path, remote, watch)?,
            // What lies there stays until the right one has come.
            Some(found) => fetch(&url, &path, remote, watch).map_err(|e| {
                let md5 = remote.md5;
                let what = format!("a file with MD5 {found} where {md5} is published, cut off or another");
                e.at(format!("{} is {what}; fetching it anew", path.display()))
            })?,
        }
        if is_archive(&remote) {
            unpack(&path, root, set.folder)?;
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(folder)
}

/// Whether the folder holds all that its archive does. One that holds only a part is an error, for it may be somebody's.
fn is_unpacked(set: &Catalogue, folder: &Path) -> Result<bool> {
    let Ok(mut entries) = fs::read_dir(folder) else { return Ok(false) };
    if entries.next().is_none() {
        return fs::remove_dir(folder).map_err(Error::io("remove", folder)).map(|()| false);
    }
    let is_whole = |(name, size): &&(&str, u64)| fs::metadata(folder.join(name)).is_ok_and(|m| m.len() == *size);
    match set.holds.iter().find(|file| !is_whole(file)) {
        None => Ok(true),
        Some((name, size)) => {
            let expected = "the whole data set; move this folder away to get it anew";
            Err(Error::file(folder, format!("a folder without a {name} of {size} bytes"), expected))
        }
    }
}

/// Failures in a row that bring next to nothing before it is given up; a time-out counts as two.
const ATTEMPTS: usize = 4;
/// Bytes that are more than next to nothing.
const PROGRESS: u64 = 1 << 16;
/// How long a server may take to accept, to answer, and between two pieces of its answer.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 1500 } else { 10_000 });

/// Download `url` to `path`, by way of `path.part`, which a later call goes on with.
fn fetch(url: &str, path: &Path, remote: &Remote, watch: Watch) -> Result<()> {
    let part = PathBuf::from(format!("{}.part", path.display()));
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let mut failures = 0;
    loop {
        let before = fs::metadata(&part).map_or(0, |m| m.len());
        match attempt(&agent, url, &part, before, remote.megabytes << 20, watch)? {
            Transfer::Whole => break,
            Transfer::Broken { why, weight } => {
                let more = fs::metadata(&part).is_ok_and(|m| m.len() >= before + PROGRESS);
                failures = if more { 0 } else { failures + weight };
                if failures >= ATTEMPTS {
                    let kept = if fs::metadata(&part).is_ok_and(|m| m.len() > 0) {
                        "what has come so far is kept: try again later"
                    } else {
                        "try again later"
                    };
                    let expected = format!(
                        "an answer with the whole file; {kept}, name a mirror (--from URL), or put the file there by hand: {}",
                        path.display()
                    );
                    return Err(Error::invalid(format!("download of {url}"), why, expected));
                }
                std::thread::sleep(Duration::from_millis(200 << failures));
            }
        }
    }
    let found = sum(&part)?;
    if found != remote.md5 {
        fs::remove_file(&part).map_err(Error::io("remove", &part))?;
        let expected = format!("{}, as published", remote.md5);
        return Err(Error::invalid(format!("download of {url}"), format!("MD5 {found}"), expected));
    }
    fs::rename(&part, path).map_err(Error::io("write", path))
}

enum Transfer {
    Whole,
    /// The connection broke: in words, and for how many failures that counts.
    Broken {
        why: String,
        weight: usize,
    },
}

/// One request, from byte `before` on. Errors are those that trying again does not mend.
fn attempt(agent: &ureq::Agent, url: &str, part: &Path, before: u64, most: u64, watch: Watch) -> Result<Transfer> {
    let broken = |why: String, late: bool| Ok(Transfer::Broken { why, weight: if late { 2 } else { 1 } });
    interrupt::check()?;
    let mut request = agent.get(url);
    if before > 0 {
        request = request.header("Range", format!("bytes={before}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(e) => return broken(e.to_string(), matches!(e, ureq::Error::Timeout(_))),
    };
    let append = match response.status().as_u16() {
        206 => true,
        200 => false,
        // There is nothing behind what is here: the sum will tell whether it is the file.
        416 => return Ok(Transfer::Whole),
        status if status >= 500 => return broken(format!("status {status}"), false),
        status => return Err(Error::invalid(format!("download of {url}"), format!("status {status}"), "the file")),
    };
    let length = response.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let mut done = if append { before } else { 0 };
    let all = length.map(|n| done + n);
    let too_long = |got: String| {
        // None of it is what was asked for.
        fs::remove_file(part).ok();
        Err(Error::invalid(
            format!("download of {url}"),
            got,
            format!("at most the {most} bytes that the file may have"),
        ))
    };
    if let Some(all) = all.filter(|all| *all > most) {
        return too_long(format!("{all} bytes"));
    }
    let mut file =
        files::open_plain(part, OpenOptions::new().create(true).append(append).write(true).truncate(!append))?;
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
                if done > most {
                    return too_long(format!("more than {most} bytes"));
                }
                watch(&name, done, all);
            }
            Err(e) => return broken(e.to_string(), is_late(&e)),
        }
    }
    file.sync_all().map_err(Error::io("write", part))?;
    match all {
        Some(all) if done < all => broken(format!("{done} of {all} bytes"), false),
        _ => Ok(Transfer::Whole),
    }
}

/// Whether nothing came for as long as we wait.
fn is_late(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<ureq::Error>());
    error.kind() == ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)))
}

/// MD5 of a file, in hex.
fn sum(path: &Path) -> Result<String> {
    let mut file = files::open_plain(path, OpenOptions::new().read(true))?;
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
        let mut buffer = vec![0; 1 << 16];
        loop {
            // What cannot be read is the archive's fault, what cannot be written the disk's.
            match entry.read(&mut buffer).map_err(wrong)? {
                0 => break,
                n => out.write_all(&buffer[..n]).map_err(Error::io("write", &to))?,
            }
        }
        out.sync_all().map_err(Error::io("write", &to))?;
    }
    if !temporary.is_dir() {
        return Err(Error::file(archive, format!("no file in a folder {folder}"), "the published archive"));
    }
    let to = root.join(folder);
    fs::rename(&temporary, &to).map_err(Error::io("write", to))
}

#[cfg(test)]
mod tests;
