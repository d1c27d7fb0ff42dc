//! What `dev` says when it is ready, and what to type next.

use std::env;
use std::path::Path;

use serde_json::json;

use crate::args::{DevArgs, Format, TransportName};
use crate::assemble::CLIENT_FILE;
use crate::output;

/// Says it. The cluster goes on if that cannot be written.
pub(super) async fn say(args: &DevArgs, endpoints: &[String], is_in_sync: bool, format: Format) {
    let text = match format {
        Format::Json => json!({
            "event": "ready",
            "replicas": endpoints,
            "in_sync": is_in_sync,
            "data_dir": args.data_dir,
        })
        .to_string(),
        Format::Text => text(args, endpoints, is_in_sync, &program()),
    };
    output::announce(text).await;
}

fn text(args: &DevArgs, endpoints: &[String], is_in_sync: bool, program: &str) -> String {
    let (data_dir, addresses) = (args.data_dir.display(), endpoints.join(", "));
    let count = match endpoints.len() {
        1 => "1 replica".to_owned(),
        count => format!("{count} replicas"),
    };
    let arbiters = match args.arbiters {
        1 => "an arbiter".to_owned(),
        arbiters => format!("{arbiters} arbiters"),
    };
    let mut text = format!("ready: {arbiters} and {count} in this process, data in {data_dir}");
    if !is_in_sync {
        text.push_str("\nSome replicas are still catching up; `status` shows how far they are.");
    }
    match args.transport {
        TransportName::Mem => text.push_str(
            "\nWithout sockets, so this is the place to type: try put greeting hello, get greeting, status.",
        ),
        TransportName::Quic => {
            // Commands look in the default directory of the place where they are typed.
            let config = if args.data_dir == Path::new(".lockstep") {
                String::new()
            } else {
                format!(" --config {}", args.data_dir.join(CLIENT_FILE).display())
            };
            text.push_str(&format!(
                "\nreplicas at {addresses}\n\n\
                 Type in a second terminal, in this directory:\n  \
                 {program} put greeting hello{config}\n  \
                 {program} get greeting{config}\n  \
                 {program} status{config}\n  \
                 {program} shell{config}\n\n\
                 Ctrl-C stops it; the data stays, `{program} dev` goes on with it.",
            ));
        }
    }
    text
}

/// How the user started this program, so that what is shown can be typed: through cargo, or by its path.
fn program() -> String {
    let path = env::args().next().unwrap_or_else(|| "lockstep".to_owned());
    if env::var_os("CARGO").is_none() {
        return path;
    }
    if path.contains("release") {
        "cargo run --release --".to_owned()
    } else {
        "cargo run --".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn shown(flags: &[&str]) -> String {
        let args = Args::try_parse_from([&["lockstep", "dev"], flags].concat()).unwrap();
        let Command::Dev(dev) = args.command else {
            panic!("another command")
        };
        text(&dev, &["127.0.0.1:7101".to_owned()], true, "lockstep")
    }

    #[test]
    fn what_to_type_next_can_be_typed() {
        let text = shown(&[]);
        assert!(
            text.starts_with("ready: an arbiter and 1 replica in"),
            "{text}"
        );
        assert!(text.contains("\n  lockstep put greeting hello\n"), "{text}");
        let text = shown(&["--data-dir", "elsewhere"]);
        assert!(
            text.contains("lockstep get greeting --config elsewhere/client.toml\n"),
            "{text}"
        );
        assert!(shown(&["--transport", "mem"]).contains("place to type"));
    }
}
