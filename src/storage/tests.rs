#![allow(
    clippy::disallowed_methods,
    clippy::single_range_in_vec_init,
    clippy::unit_arg,
    reason = "servers of tests have threads of their own, and single ranges are what is expected"
)]

use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::testing::{TestStore, Trouble};
use super::*;
use crate::error::{Blame, Call, Error};

mod frames;
#[cfg(feature = "zarr")]
mod zarr;

fn call() -> Call {
    Call::new("test")
}

fn object(url: &str) -> Object {
    match Location::of(call(), Path::new(url)).unwrap() {
        Location::Object(object) => object,
        Location::Local(path) => panic!("{path:?}"),
    }
}

fn opened(url: &str) -> Readable {
    let blame = Blame { call: call(), path: Path::new(url), format: "test" };
    FoundFile::named(call(), Path::new(url)).unwrap().open(&blame).unwrap()
}

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

#[test]
fn ranges_are_read_and_neighbours_are_one_request() {
    let (store, url) = TestStore::register("ranges");
    let (url, bytes) = (format!("{url}/a/x"), pattern(3 << 20));
    object(&url).put(bytes.clone().into()).unwrap();
    let mut file = opened(&url);
    assert_eq!(file.len(), 3 << 20);
    file.prefetch([5..10, 20..30, 2 << 20..(2 << 20) + 5]).unwrap();
    assert_eq!(store.take_gets(), [5..30, 2 << 20..(2 << 20) + 5]);
    // What is there is not asked for again, and what is not is.
    for (start, n) in [(5, 5), (12, 18), (2 << 20, 5)] {
        assert_eq!(file.bytes_at(start, n).unwrap(), bytes[start as usize..start as usize + n]);
    }
    assert_eq!(store.take_gets(), []);
    assert_eq!(file.bytes_at(28, 4).unwrap(), bytes[28..32]);
    assert_eq!(store.take_gets(), [28..32]);
    assert_eq!(request_bytes([5..10, 20..30, 2 << 20..(2 << 20) + 5]), 30);
    assert!(file.bytes_at(3 << 20, 1).is_err());
}

#[test]
fn cursors_read_ahead_and_find_their_way_back() {
    let (store, url) = TestStore::register("cursors");
    let (url, bytes) = (format!("{url}/x"), pattern(1 << 20));
    object(&url).put(bytes.clone().into()).unwrap();
    let mut cursor = Cursor::new(Arc::new(opened(&url)), 7);
    let mut rest = Vec::new();
    cursor.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, bytes[7..]);
    let gets = store.take_gets();
    let lens: Vec<u64> = gets.iter().map(|range| (range.end - range.start) >> 10).collect();
    assert_eq!(lens, [64, 256, 703]);
    cursor.seek(SeekFrom::Start(100)).unwrap();
    let mut some = [0; 50];
    cursor.read_exact(&mut some).unwrap();
    assert_eq!(some, bytes[100..150]);
    assert_eq!(store.take_gets(), [100..100 + (64 << 10)]);
}

#[test]
fn trouble_is_an_error_that_says_what_and_where() {
    let (store, url) = TestStore::register("trouble");
    let url = format!("{url}/x");
    object(&url).put(pattern(1000).into()).unwrap();
    for (trouble, words) in [
        (Trouble::Fails, "reading bytes 10..20: Generic test error: trouble; check the network"),
        (Trouble::IsShort, "reading bytes 10..20: 9 bytes came, expected 10; "),
        (Trouble::Hangs, "reading bytes 10..20: no answer in 50ms; check the network"),
    ] {
        let file = opened(&url);
        store.set_trouble(Some((0, trouble)));
        let error = file.bytes_at(10, 10).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
        store.set_trouble(None);
        assert_eq!(file.bytes_at(10, 10).unwrap().len(), 10);
    }
    let missing = FoundFile::named(call(), Path::new("test://trouble/y")).unwrap_err().to_string();
    assert!(
        missing.contains("test://trouble/y: looking for it: there is no such object"),
        "{missing}"
    );
    // Bytes of another version are not those that were planned with.
    let file = opened(&url);
    object(&url).put(pattern(1000).into()).unwrap();
    let error = file.bytes_at(10, 10).unwrap_err().to_string();
    assert!(error.contains("it changed since it was found"), "{error}");
}

#[test]
fn a_directory_appears_when_it_is_finished_and_not_before() {
    let (store, url) = TestStore::register("dirs");
    let target = Path::new(&url).join("out");
    let write = |dir: &NewDir, name: &str| {
        dir.write(Path::new(name), |file| Ok(file.write_all(b"text").unwrap()))
    };
    let dir = NewDir::create(call(), &target).unwrap();
    write(&dir, "k=1/a").unwrap();
    drop(dir);
    assert!(store.keys().is_empty());

    let dir = NewDir::create(call(), &target).unwrap();
    write(&dir, "k=1/a").unwrap();
    write(&dir, "b").unwrap();
    assert!(store.keys().is_empty() && !NewDir::is_taken(call(), &target).unwrap());
    dir.finish(false).unwrap();
    assert_eq!(store.keys(), ["out/b", "out/k=1/a"]);
    assert!(NewDir::is_taken(call(), &target).unwrap());

    let dir = NewDir::create(call(), &target).unwrap();
    write(&dir, "c").unwrap();
    dir.finish(true).unwrap();
    assert_eq!(store.keys(), ["out/c"]);

    // Whichever request goes wrong, nothing of a write that failed is seen.
    for k in 0.. {
        store.set_trouble(Some((k, Trouble::Fails)));
        let written = NewDir::create(call(), &target).and_then(|dir| {
            write(&dir, "d")?;
            dir.finish(true)
        });
        let n = store.n_requests();
        if n <= k {
            written.unwrap();
            break;
        }
        let error = written.unwrap_err().to_string();
        assert!(error.contains("test://dirs/out: ") && error.contains("trouble"), "{error}");
        assert_eq!(store.keys(), ["out/c"]);
    }
    assert_eq!(store.keys(), ["out/d"]);
}

#[test]
fn a_directory_takes_the_place_of_an_object() {
    let (store, url) = TestStore::register("object-to-dir");
    let target = Path::new(&url).join("out");
    NewFile::alone(call(), &target, |file| file.write_all(b"old")).unwrap();
    let dir = NewDir::create(call(), &target).unwrap();
    dir.write(Path::new("a"), |file| Ok(file.write_all(b"new").unwrap())).unwrap();
    dir.finish(true).unwrap();
    assert_eq!(store.keys(), ["out/a"]);
}

/// Consoles make objects without bytes that stand for directories.
#[test]
fn markers_of_directories_are_no_files() {
    let (_store, url) = TestStore::register("markers");
    for (key, n) in [("d", 0), ("d/sub", 0), ("d/sub/a", 3), ("d/b", 0), ("empty", 0)] {
        object(&format!("{url}/{key}")).put(pattern(n).into()).unwrap();
    }
    let names = |path: &str| {
        let (root, found) = find(call(), Path::new(&format!("{url}/{path}"))).unwrap();
        let names = found.iter().map(|file| file.path.strip_prefix(&url).unwrap().to_path_buf());
        (root, names.map(|name| name.display().to_string()).collect::<Vec<_>>())
    };
    assert_eq!(names("d"), (Path::new(&url).join("d"), vec!["d/b".into(), "d/sub/a".into()]));
    assert_eq!(names("d/*").1, ["d/b", "d/sub/a"]);
    assert_eq!(names("empty").1, ["empty"]);
    let is_taken = |key: &str| NewDir::is_taken(call(), &Path::new(&url).join(key)).unwrap();
    assert!(is_taken("d") && is_taken("d/sub/a") && !is_taken("empty") && !is_taken("none"));
}

#[test]
fn options_of_the_longest_prefix_count_whatever_was_used_before() {
    let n = |path: &str| match Location::of(call(), Path::new(path)) {
        Ok(Location::Object(object)) => object.store.limit.as_secs(),
        other => panic!("{other:?}"),
    };
    let limit = |secs| StoreOptions::new().timeout(Duration::from_secs(secs));
    register("http://prefixes", limit(11)).unwrap();
    register("http://prefixes/a", limit(12)).unwrap();
    assert_eq!(
        [n("http://prefixes/b"), n("http://prefixes/a/x"), n("http://prefixes/b")],
        [11, 12, 11]
    );
    unregister("http://prefixes");
    unregister("http://prefixes/a");
}

#[test]
fn messages_have_no_secrets() {
    for url in [
        "http://me:hunter2@h/x",
        "https://h/x?token=hunter2",
        "s3://b/x?X-Amz-Signature=hunter2",
        "az://c/x?sv=1&sig=hunter2",
        "http://me:hunter2@h/x?y",
    ] {
        let error = Location::of(call(), Path::new(url)).unwrap_err().to_string();
        assert!(error.contains("without a") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn large_files_are_sent_in_pieces() {
    let (store, url) = TestStore::register("pieces");
    let url = format!("{url}/x");
    let bytes = pattern((17 << 20) + 5);
    NewFile::alone(call(), Path::new(&url), |file| file.write_all(&bytes)).unwrap();
    assert_eq!(store.keys(), ["x"]);
    assert_eq!(opened(&url).bytes_at(0, bytes.len()).unwrap(), bytes);
}

#[test]
fn urls_and_settings_that_mean_nothing_are_errors() {
    let message = |path: &str| Location::of(call(), Path::new(path)).unwrap_err().to_string();
    assert!(message("ftp://x/y").contains("ftp:// is not supported"), "{}", message("ftp://x/y"));
    assert!(message("s3://b/a//c").contains("single slashes"));
    assert!(message("http://h/x?token=1").contains("without a query"));
    assert!(message("file://host/x").contains("file:///path"));
    assert!(register("not a url", StoreOptions::new()).is_err());
    register("s3://settings", StoreOptions::new().with("colour", "red")).unwrap();
    let error = message("s3://settings/x");
    assert!(error.contains("\"colour\"") && error.contains("region"), "{error}");
    assert!(unregister("s3://settings/") && !unregister("s3://settings"));
    let secret = StoreOptions::new().with("secret_access_key", "hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
}

#[test]
fn files_have_urls_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b");
    std::fs::write(&path, "x").unwrap();
    let url = format!("file://{}", path.display()).replace(' ', "%20");
    assert_eq!(Location::of(call(), Path::new(&url)).unwrap().local(), Some(path.as_path()));
}

#[test]
fn memory_is_one_store_for_all_who_name_it() {
    object("memory://one/x").put(pattern(10).into()).unwrap();
    register("s3://something-else", StoreOptions::new()).unwrap();
    assert_eq!(opened("memory://one/x").len(), 10);
    assert!(object("memory://two/x").head().unwrap().is_none());
    unregister("s3://something-else");
}

/// Answers requests for one file, with ranges, until it is dropped.
fn serve(content: Vec<u8>, takes_ranges: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/dir/x%20y.bin", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let content = content.clone();
            std::thread::spawn(move || answer(stream.unwrap(), &content, takes_ranges));
        }
    });
    url
}

fn answer(mut stream: TcpStream, content: &[u8], takes_ranges: bool) {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let lower = head.to_ascii_lowercase();
        let range = lower.split("range: bytes=").nth(1).filter(|_| takes_ranges).map(|range| {
            let (start, end) = range.split("\r\n").next().unwrap().split_once('-').unwrap();
            (start.parse::<usize>().unwrap(), end.parse::<usize>().unwrap() + 1)
        });
        let length = content.len();
        let (status, more, body) = match range {
            _ if !head.contains(" /dir/x%20y.bin ") => ("404 Not Found", String::new(), &[][..]),
            Some((start, end)) => {
                let range = format!("Content-Range: bytes {start}-{}/{length}\r\n", end - 1);
                ("206 Partial Content", range, &content[start..end])
            }
            None => ("200 OK", String::new(), content),
        };
        let n = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\n{more}Content-Length: {n}\r\nETag: \"1\"\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        if !head.starts_with("HEAD") {
            stream.write_all(body).unwrap();
        }
    }
}

#[test]
fn web_servers_give_out_ranges() {
    let bytes = pattern(300_000);
    let url = serve(bytes.clone(), true);
    let mut file = opened(&url);
    assert_eq!(file.len(), 300_000);
    file.prefetch([10..20, 299_990..300_000]).unwrap();
    assert_eq!(file.bytes_at(10, 10).unwrap(), bytes[10..20]);
    let mut all = Vec::new();
    Cursor::new(Arc::new(opened(&url)), 0).read_to_end(&mut all).unwrap();
    assert_eq!(all, bytes);
    let missing = FoundFile::named(call(), Path::new(&url.replace("x%20y", "z"))).unwrap_err();
    assert!(missing.to_string().contains("there is no such object"), "{missing}");
    let refused = NewDir::create(call(), Path::new(&url))
        .and_then(|dir| dir.write(Path::new("a"), |_| Ok(())))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("plain web servers"), "{refused}");
}

#[test]
fn web_servers_without_ranges_and_without_anybody_are_errors() {
    let file = opened(&serve(pattern(300), false));
    let error = file.bytes_at(10, 10).unwrap_err().to_string();
    assert!(error.contains("reading bytes 10..20"), "{error}");
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    register(&url, StoreOptions::new().retries(0)).unwrap();
    let path = format!("{url}/x");
    let error = FoundFile::named(call(), Path::new(&path)).unwrap_err().to_string();
    assert!(error.contains(&path) && error.contains("looking for it"), "{error}");
    unregister(&url);
}

#[test]
fn missing_credentials_name_what_to_set() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("http://127.0.0.1:{port}");
    let options = StoreOptions::new()
        .with("metadata_endpoint", &nowhere)
        .with("endpoint", &nowhere)
        .with("allow_http", "true")
        .retries(0);
    register("s3://no-credentials", options).unwrap();
    let error = FoundFile::named(call(), Path::new("s3://no-credentials/x")).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Io { .. }) && text.contains("AWS_ACCESS_KEY_ID"), "{text}");
    unregister("s3://no-credentials");
}
