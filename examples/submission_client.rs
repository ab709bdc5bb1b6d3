//! Hands a message to a mail server, with the credentials that `smtp_sasl_password_maps` has for it:
//!
//! ```sh
//! cargo run --example submission_client -- /etc/postfix '[127.0.0.1]:587' SENDER RECIPIENT < message
//! ```
//!
//! It knows no TLS, so it gives passwords to servers on this machine alone.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rpostmap::SaslPasswords;
use rpostmap::rules::nexthop::{Destination, Place};
use rpostmap::rules::sasl_password::Credentials;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [config, nexthop, sender, recipient] = args.as_slice() else {
        return Err(
            "usage: submission_client CONFIG DESTINATION SENDER RECIPIENT < message".into(),
        );
    };
    let passwords = SaslPasswords::from_main_cf(config)?;
    let mut message = Vec::new();
    io::stdin().read_to_end(&mut message)?;
    submit(&passwords, nexthop, sender, recipient, &message)
}

/// Sends `message` to the first destination in `nexthop` that can be connected to.
pub(crate) fn submit(
    passwords: &SaslPasswords,
    nexthop: &str,
    sender: &str,
    recipient: &str,
    message: &[u8],
) -> Result<(), Box<dyn Error>> {
    let mut last_error = "no destination".into();
    for destination in passwords.destinations(nexthop.as_bytes())? {
        match connect(&destination) {
            Ok((stream, host)) => {
                let login = passwords.lookup(sender, &destination, &host)?;
                return Session::new(&stream)?.run(login.as_ref(), sender, recipient, message);
            }
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

/// A connection, and the name of the host it goes to.
fn connect(destination: &Destination) -> Result<(TcpStream, String), Box<dyn Error>> {
    let Place::Host { host, port, .. } = &destination.place else {
        return Err("not a host".into());
    };
    // A mail server would look up MX records for a name without brackets.
    let host = String::from_utf8(host.clone())?;
    let stream = TcpStream::connect((host.as_str(), *port))?;
    if !stream.peer_addr()?.ip().is_loopback() {
        return Err("this client knows no TLS: servers on this machine only".into());
    }
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok((stream, host))
}

struct Session<'s> {
    input: BufReader<&'s TcpStream>,
    output: &'s TcpStream,
}

impl<'s> Session<'s> {
    fn new(stream: &'s TcpStream) -> Result<Session<'s>, Box<dyn Error>> {
        let mut session = Session {
            input: BufReader::new(stream),
            output: stream,
        };
        session.answer(2)?;
        Ok(session)
    }

    fn run(
        &mut self,
        login: Option<&Credentials>,
        sender: &str,
        recipient: &str,
        message: &[u8],
    ) -> Result<(), Box<dyn Error>> {
        let offers = self.say("EHLO localhost", 2)?;
        if let Some(login) = login {
            self.log_in(login, &offers)?;
        }
        self.say(&format!("MAIL FROM:<{sender}>"), 2)?;
        self.say(&format!("RCPT TO:<{recipient}>"), 2)?;
        self.say("DATA", 3)?;
        for line in message.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.starts_with(b".") {
                self.output.write_all(b".")?;
            }
            self.output.write_all(line)?;
            self.output.write_all(b"\r\n")?;
        }
        self.say(".", 2)?;
        self.say("QUIT", 2)?;
        Ok(())
    }

    fn log_in(&mut self, login: &Credentials, offers: &str) -> Result<(), Box<dyn Error>> {
        let mechanisms = offers
            .lines()
            .find_map(|line| line.get(4..)?.strip_prefix("AUTH "))
            .unwrap_or_default();
        let offered = |name| mechanisms.split_ascii_whitespace().any(|word| word == name);
        if offered("PLAIN") {
            let response = [b"\0", login.username(), b"\0", login.password()].concat();
            self.say(&format!("AUTH PLAIN {}", STANDARD.encode(response)), 2)?;
        } else if offered("LOGIN") {
            self.say("AUTH LOGIN", 3)?;
            self.say(&STANDARD.encode(login.username()), 3)?;
            self.say(&STANDARD.encode(login.password()), 2)?;
        } else {
            return Err(format!("no mechanism in common: {mechanisms:?}").into());
        }
        Ok(())
    }

    /// Says a line and reads the answer, whose code must begin with `digit`.
    fn say(&mut self, line: &str, digit: u8) -> Result<String, Box<dyn Error>> {
        self.output.write_all(format!("{line}\r\n").as_bytes())?;
        self.answer(digit)
    }

    fn answer(&mut self, digit: u8) -> Result<String, Box<dyn Error>> {
        let mut answer = String::new();
        loop {
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                return Err("the server closed the connection".into());
            }
            let goes_on = line.get(3..4) == Some("-");
            answer.push_str(&line);
            if !goes_on {
                break;
            }
        }
        match answer.starts_with(char::from(b'0' + digit)) {
            true => Ok(answer),
            false => Err(format!("the server says {}", answer.trim_end()).into()),
        }
    }
}
