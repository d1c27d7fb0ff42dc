//! `import` and `export`, on a cluster of `dev`.

use std::io::Write;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Ended, Place, Server, eventually, place};

fn cluster() -> (Place, Server) {
    let place = place();
    let dev = Server::start(&place, "dev", &["dev", "--listen", "127.0.0.1:0"]).unwrap();
    dev.line("ready:").unwrap();
    (place, dev)
}

/// What `export` prints of `count` records.
pub(crate) fn records(count: usize) -> String {
    (0..count)
        .map(|n| {
            format!(
                "{{\"key\":\"key {n:06}\",\"value\":\"value {n} {}\"}}\n",
                "x".repeat(n % 300)
            )
        })
        .collect()
}

#[test]
fn what_is_imported_is_exported_in_the_order_of_the_keys() {
    let (place, _dev) = cluster();
    let mut lines: Vec<String> = records(3_000).lines().map(str::to_owned).collect();
    lines.push(r#"{"key_base64":"//79","value_base64":"AP8="}"#.to_owned());
    lines.push("{\"key\":\"gr\u{fc}\u{df}e \\\"\\\\\\n\",\"value\":\"\"}".to_owned());
    lines.reverse();
    place.write("in.ndjson", &lines.join("\n"));
    let summary = place.json(&["import", "in.ndjson"]);
    assert_eq!(summary["records"], 3_002);
    for field in [
        "bytes",
        "seconds",
        "writers",
        "writes_per_second",
        "p50_ms",
        "p99_ms",
    ] {
        assert!(summary[field].is_number(), "{field} in {summary}");
    }
    let exported = place.ok(&["export"]);
    let again = place.run_with_input(&["import", "-", "--in-flight", "16"], exported.as_bytes());
    assert_eq!(again.code, 0, "{again:?}");
    assert!(
        again.text().starts_with("imported 3,002 records"),
        "{again:?}"
    );
    assert_eq!(place.ok(&["export"]), exported);
    let mut found: Vec<&str> = exported.lines().collect();
    found.sort_unstable();
    lines.sort_unstable();
    assert_eq!(found, lines);
}

#[test]
fn lines_of_one_key_take_effect_in_the_order_of_the_file() {
    let (place, _dev) = cluster();
    let lines: String = (0..2_000)
        .map(|n| format!("{{\"key\":\"{}\",\"value\":\"{n}\"}}\n", n % 3))
        .collect();
    place.write("in.ndjson", &lines);
    place.ok(&["import", "in.ndjson", "--in-flight", "512"]);
    for (key, value) in [("0", "1998\n"), ("1", "1999\n"), ("2", "1997\n")] {
        assert_eq!(place.ok(&["get", key]), value);
    }
}

#[test]
fn a_bad_line_ends_the_import_and_is_named() {
    let (place, _dev) = cluster();
    place.write(
        "in.ndjson",
        "{\"key\":\"a\",\"value\":\"1\"}\nnonsense\n{\"key\":\"b\",\"value\":\"2\"}\n",
    );
    let ended = place.run(&["import", "in.ndjson"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.errors.contains("line 2:"), "{ended:?}");
    assert_eq!(
        place.ok(&["get", "a"]),
        "1\n",
        "what came before is written"
    );
    assert_eq!(place.run(&["get", "b"]).code, 1, "what comes after is not");

    let ended = place.run(&["import", "in.ndjson", "--skip-bad"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.errors.contains("line 2:"), "{ended:?}");
    assert!(ended.text().contains("1 bad line"), "{ended:?}");
    assert_eq!(place.ok(&["get", "b"]), "2\n");
    let summary = place.json(&["import", "in.ndjson", "--skip-bad"]);
    assert_eq!(
        (&summary["records"], &summary["bad_lines"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn what_no_cluster_takes_is_rejected() {
    let (place, _dev) = cluster();
    let long = "k".repeat(5_000);
    let ended = place.run(&["put", &long, "v"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let ended = place.run(&["put", &long, "v", "--output", "json"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let object: serde_json::Value = serde_json::from_slice(&ended.bytes).unwrap();
    assert_eq!(object["outcome"], "rejected");
    let ended = place.run_with_input(&["put", "k", "-"], &vec![b'v'; 2 << 20]);
    assert_eq!(ended.code, 3, "above the configured limit: {ended:?}");
    let ended = place.run_with_input(&["put", "k", "-"], &vec![b'v'; 17 << 20]);
    assert_eq!(ended.code, 3, "above every limit: {ended:?}");
    let ended = place.run(&["put", "", "v"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let line = format!("{{\"key\":\"k\",\"value\":\"{}\"}}", "v".repeat(2 << 20));
    let ended = place.run_with_input(&["import", "-"], line.as_bytes());
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.errors.contains("line 1:"), "{ended:?}");
}

#[test]
fn whoever_stops_reading_an_export_ends_it_quietly() {
    let (place, _dev) = cluster();
    place.write("in.ndjson", &records(3_000));
    place.ok(&["import", "in.ndjson"]);
    let mut child = place
        .command(&["export"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[test]
fn an_interrupted_import_says_how_far_it_came() {
    let (place, _dev) = cluster();
    let mut command = place.command(&["import", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut import = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = import.stdin.take().unwrap();
    input.write_all(records(3).as_bytes()).unwrap();
    input.flush().unwrap();
    for key in ["key 000000", "key 000001", "key 000002"] {
        eventually("the record is there", || {
            (place.run(&["get", key]).code == 0).then_some(())
        });
    }
    // More may come, so it waits.
    kill_process(Pid::from_child(&import), Signal::TERM).unwrap();
    let ended = Ended::new(import.wait_with_output().unwrap());
    drop(input);
    assert_eq!(ended.code, 130, "{ended:?}");
    assert!(
        ended
            .text()
            .contains("all lines up to 3 are done, go on with line 4"),
        "{ended:?}"
    );
}

#[test]
fn what_stopped_an_import_and_where_it_goes_on_is_said() {
    let (place, _dev) = cluster();
    place.write(
        "bad.ndjson",
        &format!("{}nonsense\n{}", records(5), records(2)),
    );
    let bad = place.run(&["import", "bad.ndjson"]);
    assert_eq!(bad.code, 2, "{bad:?}");
    let rest = "all lines up to 5 are done, go on with `tail -n +6 bad.ndjson | lockstep import -`";
    assert!(bad.text().contains(rest), "{bad:?}");
    place.write("marked.ndjson", &format!("\u{feff}{}", records(1)));
    let marked = place.run(&["import", "marked.ndjson"]);
    assert_eq!(marked.code, 2, "{marked:?}");
    assert!(marked.errors.contains("byte order mark"), "{marked:?}");
}
