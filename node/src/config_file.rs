//! Where flags come from besides the command line: `LOCKSTEP_*` variables, and a TOML file whose values take the place
//! of the built-in defaults. So the command line goes before the environment, and the environment before the file.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, Command, Id};
use toml::{Table, Value};

/// How variables begin.
const PREFIX: &str = "LOCKSTEP_";
/// Name of the flag that names the file; its own value can only come from elsewhere.
const CONFIG: &str = "config";

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigFileError {
    /// It cannot be read.
    #[error("cannot read the configuration file {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML.
    #[error("the configuration file {path} is not TOML: {source}", path = path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// It has a key that is no flag.
    #[error("unknown key `{key}` in the configuration file {path}: {hint}", path = path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key, with the table it is in.
        key: String,
        /// What can stand there.
        hint: String,
    },
    /// A value is not text, a number, a truth value or a list of these.
    #[error("`{key}` in the configuration file {path} must be text, a number, true, false or a list of these", path = path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
}

/// The file named by `--config` or `LOCKSTEP_CONFIG`. Looked up before the command line is parsed, since parsing needs it.
pub(crate) fn path(arguments: &[OsString], environment: Option<OsString>) -> Option<PathBuf> {
    let mut arguments = arguments
        .iter()
        .skip(1)
        .take_while(|argument| *argument != "--");
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(path) = argument
            .to_str()
            .and_then(|text| text.strip_prefix("--config="))
        {
            return Some(path.into());
        }
    }
    environment
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// Lets flags be set by environment variables: `--tls-dir` by `LOCKSTEP_TLS_DIR`. One that is set to nothing counts as
/// not set, and so does one whose flag contradicts what `arguments` say: where the cluster is does not keep anybody from
/// `export --data-dir`.
pub(crate) fn with_environment(command: Command, arguments: &[OsString]) -> Command {
    let contradicted = contradicted(command.clone(), arguments);
    each_flag(command, &mut Vec::new(), &|path, flag, long| {
        let Some(name) = variable(path, long).filter(|_| !contradicted.contains(flag.get_id()))
        else {
            return flag;
        };
        let is_empty = env::var_os(&name).is_some_and(|value| value.is_empty());
        if is_empty { flag } else { flag.env(name) }
    })
}

/// The flags that cannot be set beside those that `arguments` set.
fn contradicted(command: Command, arguments: &[OsString]) -> BTreeSet<Id> {
    let mut command = command.ignore_errors(true);
    let Ok(matches) = command.try_get_matches_from_mut(arguments) else {
        return BTreeSet::new();
    };
    let (mut command, mut matches) = (&command, &matches);
    while let Some((name, further)) = matches.subcommand()
        && let Some(sub) = command.find_subcommand(name)
    {
        (command, matches) = (sub, further);
    }
    let typed = command.get_arguments().filter(|flag| {
        let source = matches.value_source(flag.get_id().as_str());
        source == Some(ValueSource::CommandLine)
    });
    typed
        .flat_map(|flag| match flag.is_exclusive_set() {
            true => command.get_arguments().collect(),
            false => command.get_arg_conflicts_with(flag),
        })
        .map(|flag| flag.get_id().clone())
        .collect()
}

/// The variables in the environment that look like ours and set no flag.
pub(crate) fn unknown_variables(
    command: Command,
    environment: impl Iterator<Item = OsString>,
) -> Vec<String> {
    let known = RefCell::new(BTreeSet::new());
    each_flag(command, &mut Vec::new(), &|path, flag, long| {
        known.borrow_mut().extend(variable(path, long));
        flag
    });
    let known = known.into_inner();
    let ours = environment.filter_map(|name| name.into_string().ok());
    ours.filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .collect()
}

/// The variable of a flag of the command at `path`; `None` for what is to be said by hand, each time. Where commands
/// mean different things by a flag, the command is part of its name.
fn variable(path: &[String], long: &str) -> Option<String> {
    let command = path.first().map_or("", String::as_str);
    let own = match (command, long) {
        (
            _,
            "accept-data-loss" | "force" | "missing-are-gone" | "example-config" | "example-unit",
        ) => return None,
        (_, "cluster" | "tls-dir" | "config" | "output" | "log" | "log-format" | "log-file") => "",
        ("arbiter" | "replica" | "serve", "name") => "",
        (_, "name") => "client-",
        ("put" | "get" | "remove" | "resolve" | "drain", "deadline") => "",
        (command @ ("import" | "export" | "status" | "why" | "shell"), "deadline") => command,
        ("bench", _) => "bench",
        // Of `certs node` and `certs client`.
        ("certs", "role") => path.last().map_or("", String::as_str),
        ("dev", "listen" | "data-dir" | "transport" | "arbiters") => "dev",
        // Those of `serve` are machines.
        ("arbiter", "peers") => "arbiter",
        // Where a node has its data is no reason to export from there.
        ("export", "data-dir" | "prefix") => "export",
        (_, _) => "",
    };
    let dash = if own.is_empty() || own.ends_with('-') {
        ""
    } else {
        "-"
    };
    let name = format!("{own}{dash}{long}")
        .to_uppercase()
        .replace('-', "_");
    Some(format!("{PREFIX}{name}"))
}

/// Puts the values of the file at `path` into the places of the defaults.
///
/// # Errors
/// Says which key of the file cannot be used.
pub(crate) fn with_file(command: Command, path: &Path) -> Result<Command, ConfigFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigFileError::Unreadable {
        path: path.into(),
        source,
    })?;
    with_text(command, path, &text)
}

fn with_text(command: Command, path: &Path, text: &str) -> Result<Command, ConfigFileError> {
    let table: Table = text.parse().map_err(|source| ConfigFileError::NotToml {
        path: path.into(),
        source,
    })?;
    let everywhere = longs(&command);
    let commands: BTreeSet<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();

    // Values for every command first: those of a command's own table then take their place.
    let mut command = command;
    for (key, value) in &table {
        if commands.contains(key) && value.is_table() {
            continue;
        }
        if !everywhere.contains(key) {
            let hint =
                "no command has such a flag; a key is a flag's name without the dashes in front";
            return Err(unknown(path, key, hint));
        }
        command = with_default(command, key, &strings(path, key, value)?);
    }
    for (name, value) in &table {
        let Some(own) = value.as_table().filter(|_| commands.contains(name)) else {
            continue;
        };
        let flags = command.find_subcommand(name).map(longs).unwrap_or_default();
        for (key, value) in own {
            let full = format!("{name}.{key}");
            if !flags.contains(key) {
                let known: Vec<&str> = flags.iter().map(String::as_str).collect();
                let hint = format!("`lockstep {name}` has {}", known.join(", "));
                return Err(unknown(path, &full, hint));
            }
            let values = strings(path, &full, value)?;
            command = command.mut_subcommand(name, |sub| with_default(sub, key, &values));
        }
    }
    Ok(command)
}

fn unknown(path: &Path, key: &str, hint: impl Into<String>) -> ConfigFileError {
    ConfigFileError::UnknownKey {
        path: path.into(),
        key: key.into(),
        hint: hint.into(),
    }
}

/// The flags of a command and of all commands in it that a file can set.
fn longs(command: &Command) -> BTreeSet<String> {
    let own = command
        .get_arguments()
        .filter_map(Arg::get_long)
        .filter(|long| *long != CONFIG)
        .map(str::to_owned);
    let below = command.get_subcommands().flat_map(longs);
    own.chain(below).collect()
}

fn with_default(command: Command, key: &str, values: &[String]) -> Command {
    each_flag(command, &mut Vec::new(), &|path, flag, long| {
        // As with variables: what stands at the top is for nodes.
        let is_other = long == "data-dir" && path.first().is_some_and(|name| name == "export");
        if long == key && !is_other {
            flag.required(false).default_values(values.to_vec())
        } else {
            flag
        }
    })
}

/// Changes every flag of a command and of all commands in it; `path` has their names.
fn each_flag(
    command: Command,
    path: &mut Vec<String>,
    change: &dyn Fn(&[String], Arg, &str) -> Arg,
) -> Command {
    let command = command.mut_args(|arg| match arg.get_long().map(str::to_owned) {
        Some(long) if !is_display(&arg) => change(path, arg, &long),
        Some(_) | None => arg,
    });
    command.mut_subcommands(|sub| {
        path.push(sub.get_name().to_owned());
        let sub = each_flag(sub, path, change);
        path.pop();
        sub
    })
}

fn is_display(arg: &Arg) -> bool {
    matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    )
}

fn strings(path: &Path, key: &str, value: &Value) -> Result<Vec<String>, ConfigFileError> {
    let wrong = || ConfigFileError::WrongType {
        path: path.into(),
        key: key.into(),
    };
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(truth) => Ok(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => Err(wrong()),
    };
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Table(_) => Ok(vec![one(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::args::{Args, Command as Chosen};

    fn parse(text: &str, arguments: &[&str]) -> Args {
        let command = with_text(Args::command(), Path::new("test.toml"), text).unwrap();
        let matches = command.try_get_matches_from(arguments).unwrap();
        Args::from_arg_matches(&matches).unwrap()
    }

    fn error(text: &str) -> String {
        with_text(Args::command(), Path::new("test.toml"), text)
            .unwrap_err()
            .to_string()
    }

    const REPLICA: &str = "
        tls-dir = 'everywhere'
        log = 'info'
        [replica]
        arbiter = '10.0.0.1:7100'
        listen = '0.0.0.0:7101'
        data-dir = 'd'
        min-in-sync = 2
        value-bytes-max = '2MiB'
        [arbiter]
        tls-dir = 'of the arbiter'
    ";

    #[test]
    fn the_file_gives_what_the_command_line_does_not() {
        let args = parse(REPLICA, &["lockstep", "replica", "--listen", "[::]:1"]);
        assert_eq!(args.log(), "info");
        let Chosen::Replica(replica) = args.command else {
            panic!("another command")
        };
        assert_eq!(replica.node.listen, "[::]:1");
        assert_eq!(replica.node.tls_dir, Path::new("everywhere"));
        assert_eq!(replica.arbiter, ["10.0.0.1:7100"]);
        assert_eq!(replica.bounds.min_in_sync, 2);
        assert_eq!(replica.bounds.value_bytes_max.0, 2 << 20);
    }

    #[test]
    fn the_table_of_a_command_goes_before_the_top() {
        let args = parse(
            REPLICA,
            &["lockstep", "arbiter", "--listen", "a:1", "--data-dir", "d"],
        );
        let Chosen::Arbiter(arbiter) = args.command else {
            panic!("another command")
        };
        assert_eq!(arbiter.node.tls_dir, Path::new("of the arbiter"));
    }

    #[test]
    fn a_list_and_a_truth_value_can_stand_in_the_file() {
        let text = "cluster = ['a:1', 'b:2']\n[import]\nskip-bad = true";
        let args = parse(text, &["lockstep", "import", "-"]);
        let Chosen::Import(import) = args.command else {
            panic!("another command")
        };
        assert_eq!(import.connection.cluster, ["a:1", "b:2"]);
        assert!(import.skip_bad);
    }

    #[test]
    fn the_example_of_a_machine_can_be_used_as_it_is_and_with_all_that_it_leaves_out() {
        let example = include_str!("args/examples/lockstep.toml");
        let uncommented = |line: &'static str| {
            let key = |text: &str| {
                text.bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_lowercase())
            };
            let left_out = line.strip_prefix("# ").filter(|rest| {
                let setting = rest.split_once(" = ");
                setting.is_some_and(|(name, _)| key(name))
            });
            left_out.unwrap_or(line)
        };
        let whole: Vec<&str> = example.lines().map(uncommented).collect();
        for (text, has_more) in [(example.to_owned(), false), (whole.join("\n"), true)] {
            let args = parse(&text, &["lockstep", "serve"]);
            assert_eq!(args.log_file().is_some(), has_more);
            let Chosen::Serve(serve) = args.command else {
                panic!("another command")
            };
            assert_eq!(serve.node.name.as_deref(), Some("n1"));
            assert_eq!(serve.peers[2].endpoint, "10.0.0.3:7101");
            assert_eq!(serve.arbiters().unwrap().len(), 3);
            assert_eq!(serve.arbiters.len(), if has_more { 3 } else { 0 });
            assert_eq!(serve.node.advertise.is_some(), has_more);
            // What is left out are the defaults.
            assert_eq!(serve.bounds.bounds().unwrap().limits, Default::default());
        }
    }

    #[test]
    fn where_nodes_have_their_data_is_not_where_an_export_takes_it_from() {
        let text = "data-dir = 'd'";
        let data_dir = |text: &str| {
            let Chosen::Export(export) = parse(text, &["lockstep", "export"]).command else {
                panic!("another command")
            };
            export.data_dir
        };
        assert_eq!(data_dir(text), None);
        let own = data_dir("[export]\ndata-dir = 'd'");
        assert_eq!(own, Some(PathBuf::from("d")));
        let variable = super::variable(&["export".to_owned()], "data-dir");
        assert_eq!(variable.unwrap(), "LOCKSTEP_EXPORT_DATA_DIR");
    }

    #[test]
    fn an_unknown_key_is_named() {
        assert!(error("tsl-dir = 'x'").contains("unknown key `tsl-dir`"));
        assert!(error("[replica]\ncluster = 'x'").contains("unknown key `replica.cluster`"));
        assert!(error("[other]\ncluster = 'x'").contains("unknown key `other`"));
        assert!(error("config = 'x'").contains("unknown key `config`"));
        assert!(error("cluster = { a = 1 }").contains("`cluster`"));
        assert!(error("cluster = ").contains("not TOML"));
    }

    #[test]
    fn the_file_is_found_on_the_command_line_before_the_environment() {
        let check = |arguments: &[&str], environment: Option<&str>, expected: Option<&str>| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            let found = path(&arguments, environment.map(OsString::from));
            assert_eq!(found, expected.map(PathBuf::from), "{arguments:?}");
        };
        check(&["lockstep", "get", "k"], None, None);
        check(&["lockstep", "get", "k"], Some("e"), Some("e"));
        check(&["lockstep", "get", "k"], Some(""), None);
        check(
            &["lockstep", "--config", "f", "get", "k"],
            Some("e"),
            Some("f"),
        );
        check(&["lockstep", "get", "k", "--config=f"], None, Some("f"));
        check(&["lockstep", "put", "k", "--", "--config=f"], None, None);
    }

    #[test]
    fn every_flag_has_a_variable() {
        let command = with_environment(Args::command(), &[]);
        let get = command.find_subcommand("get").unwrap();
        let variable = |long: &str| {
            let flag = get.get_arguments().find(|arg| arg.get_long() == Some(long));
            flag.unwrap()
                .get_env()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(variable("cluster"), "LOCKSTEP_CLUSTER");
        assert_eq!(variable("tls-dir"), "LOCKSTEP_TLS_DIR");
        assert_eq!(variable("name"), "LOCKSTEP_CLIENT_NAME");
    }

    #[test]
    fn a_variable_means_one_thing_and_none_confirms_a_loss() {
        use std::collections::BTreeMap;

        let meanings = RefCell::new(BTreeMap::new());
        each_flag(Args::command(), &mut Vec::new(), &|path, flag, long| {
            let Some(variable) = super::variable(path, long) else {
                let by_hand = [
                    "accept-data-loss",
                    "force",
                    "missing-are-gone",
                    "example-config",
                    "example-unit",
                ];
                assert!(by_hand.contains(&long), "{long}");
                return flag;
            };
            // Those are the same place, whatever is looked for there.
            if ["tls-dir", "data-dir", "arbiter-dir"].contains(&long) {
                return flag;
            }
            let help = flag.get_help().map(ToString::to_string);
            let meaning = (long.to_owned(), help);
            let mut meanings = meanings.borrow_mut();
            let known = meanings.entry(variable.clone()).or_insert(meaning.clone());
            assert_eq!(*known, meaning, "{variable} of {path:?}");
            flag
        });
    }

    #[test]
    fn variables_that_set_nothing_are_noticed() {
        let environment = [
            "LOCKSTEP_TSL_DIR",
            "LOCKSTEP_TLS_DIR",
            "HOME",
            "LOCKSTEP_CONFIG",
        ];
        let environment = environment.into_iter().map(OsString::from);
        let unknown = unknown_variables(Args::command(), environment);
        assert_eq!(unknown, ["LOCKSTEP_TSL_DIR"]);
    }

    #[test]
    fn the_definitions_are_consistent() {
        with_environment(Args::command(), &[]).debug_assert();
    }
}
