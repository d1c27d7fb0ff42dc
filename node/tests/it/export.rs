//! `export --data-dir`: what is left when a cluster is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::import::records;
use crate::support::{Place, Server, place};

/// All files below a directory, with what is in them and when they were changed.
fn files(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        let contents = match path.is_dir() {
            true => {
                found.extend(files(&path));
                Vec::new()
            }
            false => fs::read(&path).unwrap(),
        };
        found.insert(path, (contents, changed));
    }
    found
}

fn start(place: &Place) -> Server {
    let dev = Server::start(place, "dev", &["dev", "--listen", "127.0.0.1:0"]).unwrap();
    dev.line("ready:").unwrap();
    dev
}

const DATA_DIR: &str = ".lockstep/replica-1";

#[test]
fn a_lost_cluster_is_exported_from_a_directory_that_stays_as_it_is() {
    let place = place();
    let dev = start(&place);
    place.write("in.ndjson", &records(3_000));
    place.ok(&["import", "in.ndjson"]);
    place.ok(&["put", "last", "acknowledged"]);
    let online = place.ok(&["export"]);
    dev.kill();
    let data_dir = place.path().join(DATA_DIR);
    let before = files(&data_dir);
    fs::create_dir(place.path().join("temp")).unwrap();
    for format in ["text", "json"] {
        let arguments = ["export", "--data-dir", DATA_DIR, "--output", format];
        let exported = place.run(&[&arguments[..], &["--temp-dir", "temp"]].concat());
        assert_eq!(exported.code, 0, "{exported:?}");
        assert_eq!(exported.text(), online);
        let told = ["goes up to position", "epoch 1", "may or may not have been"];
        for part in told {
            assert!(exported.errors.contains(part), "{}", exported.errors);
        }
    }
    // The last write has nothing behind it that says that it is committed.
    let certain = place.run(&["export", "--data-dir", DATA_DIR, "--committed-only"]);
    assert_eq!(certain.code, 0, "{certain:?}");
    assert!(!certain.text().contains("\"last\""), "{certain:?}");
    assert!(online.starts_with(&certain.text()));
    assert!(files(&data_dir) == before, "a file has changed");
    let left = fs::read_dir(place.path().join("temp")).unwrap().count();
    assert_eq!(left, 0, "the copy is removed");
    // And the directory is as good as before.
    let _dev = start(&place);
    assert_eq!(place.ok(&["export"]), online);
}

#[test]
fn what_cannot_be_exported_is_refused_with_the_reason() {
    let place = place();
    let _dev = start(&place);
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let ended = place.run(&[&["export"], arguments].concat());
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.errors.contains(expected), "{arguments:?}: {ended:?}");
        assert!(ended.bytes.is_empty(), "{arguments:?}: {ended:?}");
    };
    let from = ["--data-dir", DATA_DIR];
    let with = |more: &[&'static str]| [&from[..], more].concat();
    check(&from, 6, "in use by another process (pid");
    check(&["--data-dir", ".lockstep"], 6, "is not the data directory");
    check(&["--data-dir", ".lockstep/arbiter"], 6, "lockstep arbiter");
    check(&with(&["--temp-dir", "none"]), 6, "--temp-dir");
    check(&with(&["--replica", "r1"]), 2, "cannot be used with");
    check(&with(&["--cluster", "a:1"]), 2, "cannot be used with");
    check(&["--committed-only"], 2, "--data-dir");
}
