//! Pickles that Python wrote (`samples.txt`: protocol, bytes in hex; the last as Python 2 writes), and hostile ones.

use super::{Array, Object, Pickle, read};
use std::path::Path;

const SAMPLES: &str = include_str!("samples.txt");

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..][..2], 16).unwrap()).collect()
}

fn refused(bytes: &[u8]) -> String {
    read(bytes, Path::new("FILE")).err().expect("an error").to_string()
}

#[test]
fn every_protocol_gives_the_values_that_were_written() {
    let mut wide = 0;
    for line in SAMPLES.lines() {
        let pickle: Pickle = read(&bytes(&line[2..]), Path::new("FILE")).unwrap();
        let data = vec![0, 10, 92, 255, 128, 7, 200, 1, 2, 3, 4, 5];
        let expected = Array { dtype: "u1".into(), big_endian: false, shape: vec![2, 6], data };
        assert_eq!(pickle.entry("data"), Some(&Object::Array(expected)), "{line}");
        assert_eq!(pickle.integers(pickle.entry("labels").unwrap()), Some(vec![1, 300]));
        assert_eq!(pickle.entry("n"), Some(&Object::Int(-5)));
        let Some(Object::Tuple(ids)) = pickle.entry("t") else { panic!("{line}") };
        assert_eq!(
            [0, 1, 2].map(|i| pickle.get(ids[i]).clone()),
            [Object::Bool(true), Object::None, Object::Float(1.5)]
        );
        if pickle.entry("wide").is_some() {
            wide += 1;
            assert_eq!(pickle.integers(pickle.entry("wide").unwrap()), Some(vec![-2, 70000]));
            assert_eq!(pickle.entry("one"), Some(&Object::Int(-9)));
            assert_eq!(pickle.entry("b"), Some(&Object::Bytes(vec![0, 255])));
        }
    }
    assert_eq!((SAMPLES.lines().count(), wide), (7, 6), "of them those of Python 3 have the wide ones");
}

#[test]
fn a_pickle_that_would_call_a_function_is_refused_by_its_name() {
    for (pickle, name) in [
        (&b"cos\nsystem\n(S'echo oh'\ntR."[..], "os.system"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.", "posix.system"),
        (b"c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nobject\nK\x00tR.", "builtins.object"),
    ] {
        let message = refused(pickle);
        assert!(message.contains(&format!("the name of a function, `{name}`")), "{message}");
        assert!(message.contains("nothing in it was run"), "{message}");
    }
}

#[test]
fn damage_and_strange_opcodes_are_refused_in_words_and_nothing_panics() {
    for (pickle, part) in [
        (&b""[..], "the end, where 1 bytes more should be"),
        (b"\x80\x02X\xff\xff\xff\x7fabc", "the end, where 2147483647 bytes more"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "bytes more"),
        (b".", "an empty stack"),
        (b"K\x01t.", "no mark on the stack"),
        (b"h\x07.", "memo 7, which holds nothing"),
        (b"P1\n.", "the opcode 0x50"),
        (b"}K\x01K\x02K\x03\x87b.", "got state for an object other than an array (byte 9 of 10)"),
    ] {
        let message = refused(pickle);
        assert!(message.contains(part), "{message}, expected {part}");
    }
    // Cut anywhere, and with any one byte changed, a sample is read or refused, and nothing panics.
    for line in SAMPLES.lines() {
        let whole = bytes(&line[2..]);
        for end in 0..whole.len() {
            assert!(read(&whole[..end], Path::new("FILE")).is_err());
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            read(&changed, Path::new("FILE")).ok();
        }
    }
}

/// A megabyte in the memo, and for a few bytes each another copy of it.
#[test]
fn copies_of_what_is_remembered_are_bounded() {
    let text = |n: usize| [&b"X"[..], &(n as u32).to_le_bytes(), &vec![b'a'; n]].concat();
    let dtype = [&text(1 << 20)[..], b"q\x00cnumpy\ndtype\nq\x01", &b"h\x01h\x00\x85R0".repeat(6000), b"N."].concat();
    let encode = [
        &text(1 << 20)[..],
        b"q\x00",
        &text(6),
        b"0",
        b"c_codecs\nencode\nq\x01",
        &[b"X\x06\0\0\0latin1q\x02".to_vec(), b"h\x01h\x00h\x02\x86R0".repeat(6000)].concat(),
        b"N.",
    ]
    .concat();
    let tuple = [&b"("[..], &b"K\x01".repeat(100_000), b"tq\x00", &b"h\x00h\x00\x86".repeat(1000), b"N."].concat();
    for pickle in [dtype, encode] {
        let message = refused(&pickle);
        assert!(message.contains("copies of each other"), "{message}");
    }
    read(&tuple, Path::new("FILE")).unwrap();
}
