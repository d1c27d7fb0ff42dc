//! Runs the golden scripts in `tests/scripts`; those in `rules` show what a rule of the protocol is for. `UPDATE=1` records
//! them anew; then read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use lockstep_tests::script;
use lockstep_tests::trace::Detail;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut paths: Vec<_> = [folder.join("rules"), folder]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("the scripts are there"))
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn conversations_are_as_recorded() {
    let is_update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut differences = String::new();
    let scripts = scripts();
    assert!(!scripts.is_empty(), "there are scripts");
    for path in scripts {
        let former = fs::read_to_string(&path).expect("a script can be read");
        let played = script::run(&former, Detail::Story);
        let played = played.unwrap_or_else(|what| panic!("{path:?}: {what}"));
        if let Some(violation) = played.violation {
            panic!("{path:?}: {violation}\n{}", played.text);
        }
        let present = played.text;
        if is_update && present != former {
            fs::write(&path, &present).expect("a script can be written");
        } else if present != former {
            differences.push_str(&format!(
                "\n{}\n{}",
                path.display(),
                script::difference(&former, &present)
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "conversations have changed (UPDATE=1 records them anew):\n{differences}"
    );
}

#[test]
fn a_difference_names_what_is_gone_and_what_is_new() {
    let difference = script::difference("a\nb\nc\n", "a\nx\nc\nd\n");
    assert_eq!(difference, "  a\n- b\n+ x\n  c\n+ d\n");
    assert_eq!(script::difference("a\nb\n", "a\nb\n"), "");
}
