//! Where mail goes: `cargo run --example router -- /etc/postfix SENDER RECIPIENT..`
//!
//! Prints one line for each recipient, with what an SMTP server would answer if there is no route.

use std::error::Error;
use std::io::{self, Write};

use rpostmap::Router;
use rpostmap::mta::Verdict;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [config, sender, recipients @ ..] = args.as_slice() else {
        return Err("usage: router CONFIG SENDER RECIPIENT..".into());
    };
    let router = Router::from_main_cf(config)?;
    run(&router, sender, recipients, &mut io::stdout().lock())
}

/// Prints the routes of mail from `sender` to `recipients`.
pub(crate) fn run(
    router: &Router,
    sender: &str,
    recipients: &[impl AsRef<str>],
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    for recipient in recipients {
        let recipient = recipient.as_ref();
        write!(out, "{recipient}: ")?;
        match router.route(sender, recipient) {
            Ok(route) => match route.verdict() {
                Verdict::Deliver => writeln!(
                    out,
                    "{} by {} to {}",
                    route.class.name(),
                    route.transport.escape_ascii(),
                    route.nexthop.escape_ascii()
                )?,
                Verdict::Bounce(reason) => writeln!(out, "550 {}", reason.escape_ascii())?,
                Verdict::Defer(reason) => writeln!(out, "450 {}", reason.escape_ascii())?,
            },
            // A table that could not be read is no reason to refuse mail for ever.
            Err(error) if error.is_temporary() => writeln!(out, "451 {error}")?,
            Err(error) => writeln!(out, "501 {error}")?,
        }
    }
    Ok(())
}
