//! `certs`: the authority of a cluster, and certificates signed by it.

use std::path::Path;

use serde_json::json;

use crate::args::{CertsArgs, CertsCommand, Format};
use crate::assemble;
use crate::output::{self, Exit, Failure};

/// `lockstep certs`.
pub(crate) fn certs(args: &CertsArgs, format: Format) -> Result<Exit, Failure> {
    let issued = match &args.command {
        CertsCommand::Init(args) => assemble::make_authority(&args.tls_dir)?,
        CertsCommand::Node(args) => assemble::issue_node(args)?,
        CertsCommand::Client(args) => assemble::issue_client(args)?,
    };
    print(&issued.certificate, &issued.key, format)?;
    Ok(Exit::Done)
}

fn print(certificate: &Path, key: &Path, format: Format) -> Result<(), Failure> {
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    match format {
        Format::Text => output::print(&format!("wrote {certificate} and {key}")),
        Format::Json => output::print_json(&json!({ "certificate": certificate, "key": key })),
    }
}
