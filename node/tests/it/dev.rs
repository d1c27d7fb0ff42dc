//! `lockstep dev`, and the commands typed beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::{Place, Server, eventually, place};

const DEV: [&str; 3] = ["dev", "--listen", "127.0.0.1:0"];

fn start(place: &Place) -> Server {
    let dev = Server::start(place, "dev", &DEV).unwrap();
    dev.line("ready:").unwrap();
    dev
}

#[test]
fn a_stranger_puts_gets_and_removes_without_any_flag() {
    let place = place();
    let _dev = start(&place);
    assert_eq!(place.ok(&["put", "greeting", "hello"]), "ack, seq 0\n");
    assert_eq!(place.ok(&["get", "greeting"]), "hello\n");

    let ack = place.json(&["put", "greeting", "hello again"]);
    assert_eq!(ack["seq"], 1);
    assert_eq!(ack["outcome"], "ack");
    assert!(ack["id"].is_u64(), "{ack}");
    let got = place.json(&["get", "greeting"]);
    assert_eq!(got["value"], "hello again");

    place.ok(&["remove", "greeting"]);
    let absent = place.run(&["get", "greeting"]);
    assert_eq!((absent.code, absent.text().as_str()), (1, ""), "{absent:?}");
}

#[test]
fn values_are_bytes() {
    let place = place();
    let _dev = start(&place);
    let bytes: Vec<u8> = (0..=255).collect();
    let put = place.run_with_input(&["put", "bytes", "-"], &bytes);
    assert_eq!(put.code, 0, "{put:?}");
    let got = place.run(&["get", "bytes"]);
    assert_eq!(got.bytes.split_last().unwrap(), (&b'\n', &bytes[..]));
    place.ok(&["put", "empty", ""]);
    assert_eq!(place.ok(&["get", "empty"]), "\n");
    place.ok(&["put", "number", "-5"]);
    assert_eq!(place.ok(&["get", "number"]), "-5\n");
}

#[test]
fn every_replica_can_be_read_by_name() {
    let place = place();
    let _dev = start(&place);
    place.ok(&["put", "k", "v"]);
    let status = place.all_in_sync(3);
    for replica in status["replicas"].as_array().unwrap() {
        for field in ["name", "node", "address"] {
            let name = replica[field].as_str().unwrap();
            assert_eq!(place.ok(&["get", "k", "--replica", name]), "v\n");
            assert_eq!(
                place.ok(&["export", "--replica", name]),
                "{\"key\":\"k\",\"value\":\"v\"}\n"
            );
        }
    }
    let unknown = place.run(&["get", "k", "--replica", "replica-9"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(
        unknown.errors.contains("replica-1, replica-2, replica-3"),
        "{unknown:?}"
    );
}

#[test]
fn status_tells_who_is_who() {
    let place = place();
    let _dev = start(&place);
    let status = place.all_in_sync(3);
    assert_eq!(status["arbiter"]["reachable"], true);
    assert!(
        status["arbiter"]["address"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(status["epoch"], 1);
    assert!(status["version"].as_u64().unwrap() >= 3);
    let replicas = status["replicas"].as_array().unwrap();
    let roles: Vec<_> = replicas
        .iter()
        .map(|replica| replica["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["primary", "secondary", "secondary"]);
    assert_eq!(status["primary"], replicas[0]["node"]);
    assert_eq!(replicas[0]["software"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        replicas[0]["persisted"],
        serde_json::Value::Null,
        "nothing was written"
    );

    place.ok(&["put", "k", "v"]);
    eventually("the write is committed everywhere", || {
        let status = place.all_in_sync(3);
        let replicas = status["replicas"].as_array().unwrap().clone();
        let has_it =
            |replica: &serde_json::Value| replica["persisted"] == 0 && replica["committed"] == 0;
        replicas.iter().all(has_it).then_some(())
    });
    let table = place.ok(&["status"]);
    assert!(table.contains("replica-3  secondary  yes"), "{table}");
}

#[test]
fn it_goes_on_with_its_data_and_another_number_of_replicas() {
    let place = place();
    let dev = start(&place);
    place.ok(&["put", "k", "v"]);
    assert_eq!(dev.terminate(), 0);
    let gone = place.run(&["get", "k", "--deadline", "1s"]);
    assert_eq!(gone.code, 5, "{gone:?}");

    let dev = start(&place);
    assert_eq!(place.ok(&["get", "k"]), "v\n");
    place.all_in_sync(3);
    dev.kill();

    let dev = Server::start(&place, "dev", &[&DEV[..], &["--replicas", "4"]].concat()).unwrap();
    dev.line("ready:").unwrap();
    place.all_in_sync(4);
    assert_eq!(place.ok(&["get", "k", "--replica", "replica-4"]), "v\n");
    assert_eq!(dev.terminate(), 0);

    let dev = Server::start(&place, "dev", &[&DEV[..], &["--replicas", "1"]].concat()).unwrap();
    dev.line("ready:").unwrap();
    place.ok(&["put", "k", "w", "--deadline", "30s"]);
    place.all_in_sync(1);
    assert_eq!(dev.terminate(), 0);
}

#[test]
fn a_second_one_in_the_same_directory_is_refused() {
    let place = place();
    let _dev = start(&place);
    let second = place.run(&DEV);
    assert_eq!(second.code, 6, "{second:?}");
    assert!(
        second.errors.contains("in use by another process"),
        "{second:?}"
    );
    place.ok(&["put", "k", "v"]);
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
    let place = place();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let ended = place.run(&["dev", "--listen", &address]);
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(
        ended.errors.contains(&address) && ended.errors.contains("--listen"),
        "{ended:?}"
    );
}

#[test]
fn without_sockets_it_offers_the_shell_and_keeps_its_data() {
    let place = place();
    let dev = ["dev", "--transport", "mem"];
    let first = place.run_with_input(
        &dev,
        b"put k 'two words'\nget k\nfrobnicate\nget absent\nscan\nexit\n",
    );
    // That of the first command that failed; the others are carried out.
    assert_eq!(first.code, 2, "{first:?}");
    let text = first.text();
    assert!(text.contains("ready:"), "{text}");
    assert!(
        text.contains("\nack, seq 0\ntwo words\n{\"key\":\"k\",\"value\":\"two words\"}\n"),
        "{text}"
    );
    assert!(
        first.errors.contains("frobnicate") && first.errors.contains("absent"),
        "{first:?}"
    );
    let second = place.run_with_input(&dev, b"get k\nstatus\n");
    assert_eq!(second.code, 0, "{second:?}");
    assert!(second.text().contains("\ntwo words\n"), "{second:?}");
    assert!(
        second.text().contains("3 of 3 expected in sync"),
        "{second:?}"
    );
}

#[test]
fn the_shell_works_from_a_pipe() {
    let place = place();
    let _dev = start(&place);
    let input = b"# a comment\n\nput a 1\nput b 2\nput c 3\nremove a\nget b\nscan c 1\nhelp\n";
    let shell = place.run_with_input(&["shell"], input);
    assert_eq!(shell.code, 0, "{shell:?}");
    let text = shell.text();
    assert!(
        text.contains("\n2\n{\"key\":\"c\",\"value\":\"3\"}\n"),
        "{text}"
    );
    assert!(text.contains("put KEY VALUE"), "{text}");
    let json = place.run_with_input(
        &["shell", "--output", "json"],
        b"put d 4\nget nope\nwrong\nget d\n",
    );
    let objects: Vec<serde_json::Value> = json
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 4, "{json:?}");
    assert_eq!(objects[0]["outcome"], "ack");
    assert_eq!(objects[1]["found"], false);
    assert_eq!(objects[2]["error"]["kind"], "usage");
    assert_eq!(objects[3]["value"], "4");
}

#[test]
fn a_key_that_is_not_text_is_typed_and_shown() {
    let place = place();
    let _dev = start(&place);
    let key = ["--key-base64", "AP8="];
    let with_key = |command: &'static str| [&[command][..], &key].concat();
    place.ok(&[&with_key("put")[..], &["v"]].concat());
    assert_eq!(place.ok(&with_key("get")), "v\n");
    let got = place.json(&with_key("get"));
    assert_eq!(got["key_base64"], "AP8=");
    assert_eq!(got["key"], serde_json::Value::Null);
    let typed = b"get \"\\x00\\xff\"\nput a\\x00b 2\nscan a 1\n";
    let shell = place.run_with_input(&["shell"], typed);
    assert_eq!(shell.code, 0, "{shell:?}");
    assert!(shell.text().starts_with("v\nack, seq 1\n"), "{shell:?}");
    place.ok(&with_key("remove"));
    let absent = place.run(&with_key("get"));
    assert_eq!(absent.code, 1, "{absent:?}");
    assert!(absent.errors.contains(r#""\x00\xff""#), "{absent:?}");
}

#[test]
fn a_piped_shell_ends_with_the_code_of_the_first_failure() {
    let place = place();
    let _dev = start(&place);
    let check = |script: &str, code| {
        let ended = place.run_with_input(&["shell"], script.as_bytes());
        assert_eq!(ended.code, code, "{script}: {ended:?}");
    };
    check("put a 1\nget a\n", 0);
    check("get absent\nput b 2\nwrong\n", 1);
    check("wrong\nget absent\nexit\n", 2);
    assert_eq!(place.ok(&["get", "b"]), "2\n");
}

#[test]
fn a_position_beyond_the_log_is_told_apart() {
    let place = place();
    let _dev = start(&place);
    place.ok(&["put", "k", "v"]);
    assert_eq!(place.ok(&["get", "k", "--at-least", "1"]), "v\n");
    let beyond = place.run(&["get", "k", "--at-least", "1000", "--deadline", "1s"]);
    assert_eq!(beyond.code, 3, "{beyond:?}");
    assert!(
        beyond.errors.contains("beyond the end of the log"),
        "{beyond:?}"
    );
    assert!(
        !beyond.errors.contains("nothing was executed"),
        "{beyond:?}"
    );
}

#[test]
fn status_is_checked_by_scripts() {
    let place = place();
    let dev = start(&place);
    place.all_in_sync(3);
    place.ok(&["status", "--check"]);
    dev.kill();
    let unwell = place.run(&["status", "--check", "--deadline", "1s"]);
    assert_eq!(unwell.code, 5, "{unwell:?}");
}

#[test]
fn nobody_else_reads_what_its_nodes_keep() {
    let place = place();
    let _dev = start(&place);
    place.ok(&["put", "k", "v"]);
    let home = place.path().join(".lockstep");
    let nodes = ["arbiter", "replica-1", "replica-2", "replica-3"];
    let mut left: Vec<PathBuf> = nodes.map(|node| home.join(node)).into();
    let mut files = 0;
    while let Some(path) = left.pop() {
        let Ok(about) = fs::metadata(&path) else {
            continue; // The engine removes what it needs no more.
        };
        let mode = about.permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}", path.display());
        files += usize::from(about.is_file());
        if about.is_dir() {
            let inside = fs::read_dir(&path).unwrap();
            left.extend(inside.map(|entry| entry.unwrap().path()));
        }
    }
    assert!(files > 10, "{files} files");
}

#[test]
fn a_replica_of_it_is_drained_and_the_others_go_on() {
    let place = place();
    let dev = start(&place);
    place.all_in_sync(3);
    for name in ["replica-1", "replica-2"] {
        place.ok(&["drain", name]);
        dev.line(&format!("left: {name}")).unwrap();
    }
    let last = place.run(&["drain", "replica-3"]);
    assert_eq!(last.code, 3, "{last:?}");
    place.ok(&["put", "k", "v"]);
    dev.kill();
    // Whoever was drained may come back.
    let _dev = start(&place);
    place.all_in_sync(3);
    assert_eq!(place.ok(&["get", "k"]), "v\n");
}

#[test]
fn a_bench_says_where_its_keys_are_and_fails_with_its_operations() {
    let place = place();
    let few = [
        "--clients",
        "2",
        "--duration",
        "500ms",
        "--warm-up",
        "100ms",
    ];
    let few = [&few[..], &["--keys", "50"]].concat();
    let dev = start(&place);
    let done = place.ok(&[&["bench", "put"], &few[..]].concat());
    assert!(done.contains("keys away again"), "{done}");
    let kept = place.ok(&[&["bench", "put", "--keep"], &few[..]].concat());
    assert!(kept.contains("begin with bench/ stay"), "{kept}");
    drop(dev);
    let required = ["--min-in-sync", "16"];
    let dev = Server::start(&place, "dev", &[&DEV[..], &required].concat()).unwrap();
    dev.line("ready:").unwrap();
    let brief = [
        "--deadline",
        "200ms",
        "--no-load",
        "--no-verify",
        "--reads",
        "0.5",
    ];
    let failed = place.run(&[&["bench", "mixed"], &few[..], &brief].concat());
    assert_eq!(failed.code, 8, "{failed:?}");
}
