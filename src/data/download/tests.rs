//! Downloads from a server on loopback that breaks, lies, or ignores what it is asked.

use super::*;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How the server answers a request for bytes from some position on.
type Answer = fn(&mut TcpStream, &[u8], u64, usize);

/// A server of one file: `answer` gets the file, the first byte asked for, and how many requests came before.
fn serve(file: Vec<u8>, answer: Answer) -> (String, Arc<Mutex<Vec<u64>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/file", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(vec![]));
    let seen = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut from = 0;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap_or_default().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse().unwrap();
                }
            }
            let before = seen.lock().unwrap().len();
            seen.lock().unwrap().push(from);
            answer(&mut stream, &file, from, before);
        }
    });
    (address, asked)
}

fn head(stream: &mut TcpStream, status: &str, length: usize) {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").unwrap();
}

fn ranged(stream: &mut TcpStream, file: &[u8], from: u64, upto: usize) {
    let rest = &file[from as usize..];
    head(stream, if from > 0 { "206 Partial Content" } else { "200 OK" }, rest.len());
    stream.write_all(&rest[..rest.len().min(upto)]).unwrap();
}

fn content() -> Vec<u8> {
    (0..300_000u32).map(|i| ((i * i) >> 7) as u8).collect()
}

/// The file of `serve`, published under this sum.
fn remote(md5: &str) -> Remote {
    Remote { file: "file", md5: Box::leak(md5.to_string().into_boxed_str()), megabytes: 1 }
}

fn md5_of(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn a_broken_download_goes_on_where_it_broke_also_in_a_later_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(dir.path().join("file.part"), &content()[..1000]).unwrap();
    let (url, asked) =
        serve(content(), |s, file, from, before| ranged(s, file, from, if before < 2 { 100_000 } else { usize::MAX }));
    fetch(&url, &path, &remote(&md5_of(&content())), &|_, _, _| ()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content());
    let asked = asked.lock().unwrap().clone();
    assert_eq!((asked[0], asked.len()), (1000, 3), "{asked:?}");
    assert!(asked.is_sorted() && asked[2] > 100_000 && !dir.path().join("file.part").exists(), "{asked:?}");
}

#[test]
fn a_server_that_ignores_the_position_sends_it_all_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(dir.path().join("file.part"), b"something else").unwrap();
    let (url, _) = serve(content(), |s, file, _, _| ranged(s, file, 0, usize::MAX));
    fetch(&url, &path, &remote(&md5_of(&content())), &|_, _, _| ()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content());
}

#[test]
fn a_wrong_sum_a_missing_file_and_a_silent_server_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let message = |url: &str| fetch(url, &path, &remote("0123"), &|_, _, _| ()).unwrap_err().to_string();
    let (url, _) = serve(content(), |s, file, from, _| ranged(s, file, from, usize::MAX));
    assert!(message(&url).contains(&format!("got MD5 {}, expected 0123, as published", md5_of(&content()))));
    assert!(!path.exists() && !dir.path().join("file.part").exists(), "nothing wrong is kept");
    let (url, asked) = serve(vec![], |s, _, _, _| head(s, "404 Not Found", 0));
    assert!(message(&url).contains("got status 404, expected the file"));
    assert_eq!(asked.lock().unwrap().len(), 1, "it is not asked again");
    let (url, asked) = serve(content(), |s, file, _, before| {
        if before == 0 {
            ranged(s, file, 0, 5000)
        }
    });
    let told = message(&url);
    assert!(
        told.contains("what has come so far is kept") && told.contains("--from") && told.contains("by hand"),
        "{told}"
    );
    assert_eq!(asked.lock().unwrap().len(), ATTEMPTS, "what is next to nothing counts as nothing");
    assert_eq!(std::fs::read(dir.path().join("file.part")).unwrap(), content()[..5000]);
}

/// A tar.gz of `(path, bytes)`.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(vec![], flate2::Compression::fast()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // Written as it stands: `append_data` would refuse `..`.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A set of one archive with files of 3 bytes.
fn set(packed: &[u8]) -> Catalogue {
    let files = Box::leak(vec![Remote { file: "set.tar.gz", ..remote(&md5_of(packed)) }].into_boxed_slice());
    Catalogue { name: "set", base: "", files, holds: &[("a.bin", 3), ("sub/b.bin", 3)], folder: "set" }
}

#[test]
fn an_archive_that_lies_there_is_checked_and_fetched_anew_if_it_is_not_the_published_one() {
    let packed = archive(&[("set/a.bin", b"one"), ("set/sub/b.bin", b"two")]);
    let set = set(&packed);
    for lies in [&packed[..packed.len() / 2], b"hello", &archive(&[("set/a.bin", b"six")])[..], b""] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set.tar.gz");
        std::fs::write(&path, lies).unwrap();
        let error = fetch_set(&set, dir.path(), "http://127.0.0.1:9/", &|_, _, _| ()).unwrap_err().to_string();
        assert!(error.contains("set.tar.gz is a file with MD5 ") && error.contains("fetching it anew"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), lies, "it stays until the right one has come");
        let (url, _) = serve(packed.clone(), |s, file, from, _| ranged(s, file, from, usize::MAX));
        fetch_set(&set, dir.path(), url.trim_end_matches("file"), &|_, _, _| ()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("set/a.bin")).unwrap(), b"one");
    }
}

#[test]
fn a_folder_is_done_only_if_it_holds_all() {
    let packed = archive(&[("set/a.bin", b"one"), ("set/sub/b.bin", b"two")]);
    let (set, dir) = (set(&packed), tempfile::tempdir().unwrap());
    let (url, asked) = serve(packed, |s, file, from, _| ranged(s, file, from, usize::MAX));
    let get = || fetch_set(&set, dir.path(), url.trim_end_matches("file"), &|_, _, _| ());
    std::fs::create_dir(dir.path().join("set")).unwrap();
    get().unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1, "an empty folder is none");
    std::fs::write(dir.path().join("set/a.bin"), "on").unwrap();
    let error = get().unwrap_err().to_string();
    assert!(error.contains("set: got a folder without a a.bin of 3 bytes, expected the whole data set"), "{error}");
}

#[test]
fn a_server_that_says_no_more_is_not_waited_for_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let stalls: Answer = |s, file, _, _| {
        head(s, "200 OK", file.len());
        s.write_all(&file[..10]).unwrap();
        std::thread::sleep(PATIENCE * 20);
    };
    let silent: Answer = |_, _, _, _| std::thread::sleep(PATIENCE * 20);
    for answer in [stalls, silent] {
        let (url, _) = serve(content(), answer);
        let begin = std::time::Instant::now();
        let error = fetch(&url, &dir.path().join("file"), &remote("0123"), &|_, _, _| ()).unwrap_err().to_string();
        assert!(error.contains("timeout") && begin.elapsed() < PATIENCE * 6, "{:?} {error}", begin.elapsed());
    }
}

#[test]
fn an_answer_that_is_too_long_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let says_so: Answer = |s, _, _, _| head(s, "200 OK", 3 << 20);
    let sends_on: Answer = |s, _, _, _| {
        write!(s, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").unwrap();
        while s.write_all(&[0; 1 << 16]).is_ok() {}
    };
    for answer in [says_so, sends_on] {
        let (url, _) = serve(vec![], answer);
        let error = fetch(&url, &path, &remote("0123"), &|_, _, _| ()).unwrap_err().to_string();
        assert!(error.contains("expected at most the 1048576 bytes"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn an_archive_is_unpacked_whole_and_only_into_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let packed =
        archive(&[("set/a.bin", b"one"), ("set/sub/b.bin", b"two"), ("other/c.bin", b"x"), ("set/../../evil", b"x")]);
    let set = set(&packed);
    let (url, asked) = serve(packed, |s, file, from, _| ranged(s, file, from, usize::MAX));
    let base = url.trim_end_matches("file").to_string();
    for _ in 0..2 {
        assert_eq!(fetch_set(&set, &root, &base, &|_, _, _| ()).unwrap(), root.join("set"));
    }
    assert_eq!(std::fs::read(root.join("set/sub/b.bin")).unwrap(), b"two");
    let there: Vec<_> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!((there, dir.path().join("evil").exists()), (vec!["set".into()], false));
    assert_eq!(asked.lock().unwrap().len(), 1, "what is there is not asked for again");
}

#[test]
fn an_unknown_set_is_answered_with_the_nearest() {
    let message = get("cifar-10", Path::new("."), None, &|_, _, _| ()).unwrap_err().to_string();
    assert!(message.contains("unknown data set to download `cifar-10`, did you mean `cifar10`?"), "{message}");
}
