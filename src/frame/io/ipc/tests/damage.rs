//! Files that are damaged or hostile.

use super::*;
use crate::frame::io::damaged::flipped;

fn use_all_of(path: &Path) -> Result<()> {
    let source = open(path, 2000)?;
    let mut outcome = Ok(());
    for part in 0..source.n_parts() {
        for name in source.schema().iter_names() {
            source.nbytes(part, std::slice::from_ref(name));
            outcome = outcome.and(source.read(part, &request(&[name])).map(drop));
        }
    }
    outcome
}

/// Files and streams with dictionaries, lists and text, one compressed.
fn samples(dir: &Path) -> Vec<Vec<u8>> {
    let frame = all_dtypes();
    let mut samples = Vec::new();
    for compression in [IpcCompression::Uncompressed, IpcCompression::Lz4, IpcCompression::Zstd] {
        let options =
            IpcWriteOptions { compression, batch_rows: 2, if_exists: IfExists::Overwrite };
        write(&dir.join("sample"), std::slice::from_ref(&frame), &options).unwrap();
        samples.push(fs::read(dir.join("sample/part.00000.arrow")).unwrap());
    }
    let reader = FileReader::try_new(std::io::Cursor::new(&samples[0]), None).unwrap();
    let mut stream = StreamWriter::try_new(Vec::new(), &reader.schema()).unwrap();
    reader.for_each(|batch| stream.write(&batch.unwrap()).unwrap());
    samples.push(stream.into_inner().unwrap());
    samples
}

#[test]
fn cut_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    let samples = samples(dir.path());
    for (number, good) in samples.iter().enumerate() {
        let is_stream = number == samples.len() - 1;
        for length in (0..good.len()).step_by(97).chain(good.len() - 12..good.len()) {
            fs::write(&path, &good[..length]).unwrap();
            match use_all_of(&path) {
                Err(error) => assert!(error.to_string().contains("x.arrow"), "{error}"),
                // Between two messages a stream may end.
                Ok(()) => assert!(is_stream, "{number}: {length} of {}", good.len()),
            }
        }
    }
}

#[test]
fn flipped_bits_are_errors_or_other_values() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    let mut n_errors = 0;
    for good in samples(dir.path()) {
        for i in 0..60 {
            fs::write(&path, flipped(&good, i)).unwrap();
            if let Err(error) = use_all_of(&path) {
                n_errors += 1;
                assert!(error.to_string().contains("x.arrow"), "{error}");
            }
        }
    }
    assert!(n_errors > 20, "{n_errors}");
}

#[test]
fn a_file_that_changes_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("x");
    write(&target, &[counting(10)], &IpcWriteOptions::default()).unwrap();
    let source = open(&target, 1).unwrap();
    let mut file =
        fs::OpenOptions::new().append(true).open(target.join("part.00000.arrow")).unwrap();
    file.write_all(b"more").unwrap();
    let error = source.read(0, &request(&["i"])).unwrap_err().to_string();
    assert!(error.contains("when it was found"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_of_the_disk() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let blame = Blame { call: call(), path: Path::new("x"), format: "Arrow IPC" };
    let options = IpcWriteOptions::default();
    let error = write::encode(&blame, &mut full(), &counting(10), &options).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
