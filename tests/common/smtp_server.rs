//! A small SMTP server on loopback that requires AUTH and keeps what it was told, for tests of
//! clients.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One message as the server got it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Received {
    pub(crate) port: u16,
    pub(crate) username: String,
    pub(crate) password: String,
    /// Addresses without angle brackets.
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
}

/// A server that runs until the tests end.
pub(crate) struct SmtpServer {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl SmtpServer {
    /// Listens on a port of its own; `mechanism` is `PLAIN` or `LOGIN`.
    pub(crate) fn start(mechanism: &'static str) -> SmtpServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("address").port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                // A client that breaks the connection ends its session and nothing else.
                thread::spawn(move || drop(session(&stream, port, mechanism, &all)));
            }
        });
        SmtpServer { port, received }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What has come up to now.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("not poisoned").clone()
    }

    /// Waits until `count` messages have come, or for `limit`.
    pub(crate) fn wait_for(&self, count: usize, limit: Duration) -> Vec<Received> {
        let start = Instant::now();
        while self.received().len() < count && start.elapsed() < limit {
            thread::sleep(Duration::from_millis(20));
        }
        self.received()
    }
}

fn session(
    stream: &TcpStream,
    port: u16,
    mechanism: &str,
    all: &Mutex<Vec<Received>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut out = stream;
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes());
    let mut read = |line: &mut String| -> std::io::Result<bool> {
        line.clear();
        let len = input.read_line(line)?;
        line.truncate(line.trim_end().len());
        Ok(len > 0)
    };
    let mut now = Received {
        port,
        username: String::new(),
        password: String::new(),
        sender: String::new(),
        recipients: Vec::new(),
    };
    say("220 test.invalid ESMTP")?;
    while read(&mut line)? {
        let upper = line.to_ascii_uppercase();
        let needs_login = ["MAIL", "RCPT", "DATA"]
            .iter()
            .any(|verb| upper.starts_with(verb));
        if needs_login && now.username.is_empty() {
            say("530 5.7.0 authentication required")?;
        } else if upper.starts_with("EHLO") {
            say(&format!("250-test.invalid\r\n250 AUTH {mechanism}"))?;
        } else if upper.starts_with("AUTH PLAIN") {
            if line.len() <= "AUTH PLAIN".len() {
                say("334 ")?;
                read(&mut line)?;
            }
            let response = line.split(' ').next_back().unwrap_or_default();
            let text = decode(response);
            let mut parts = text.splitn(3, '\0').skip(1).map(str::to_owned);
            now.username = parts.next().unwrap_or_default();
            now.password = parts.next().unwrap_or_default();
            say("235 2.7.0 ok")?;
        } else if upper.starts_with("AUTH LOGIN") {
            say("334 VXNlcm5hbWU6")?;
            read(&mut line)?;
            now.username = decode(&line);
            say("334 UGFzc3dvcmQ6")?;
            read(&mut line)?;
            now.password = decode(&line);
            say("235 2.7.0 ok")?;
        } else if upper.starts_with("MAIL FROM:") {
            now.sender = address(&line);
            now.recipients.clear();
            say("250 2.1.0 ok")?;
        } else if upper.starts_with("RCPT TO:") {
            now.recipients.push(address(&line));
            say("250 2.1.5 ok")?;
        } else if upper == "DATA" {
            say("354 go on")?;
            while read(&mut line)? && line != "." {}
            now.recipients.sort();
            all.lock().expect("not poisoned").push(now.clone());
            say("250 2.0.0 taken")?;
        } else if upper == "QUIT" {
            return say("221 2.0.0 bye");
        } else if upper == "RSET" || upper == "NOOP" {
            say("250 2.0.0 ok")?;
        } else {
            say("502 5.5.2 what")?;
        }
    }
    Ok(())
}

fn decode(text: &str) -> String {
    let bytes = STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn address(line: &str) -> String {
    let inside = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(address, _)| address.to_owned())
}
