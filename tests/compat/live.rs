//! A private Postfix on loopback sends mail by tables of ours, and the library says beforehand which
//! way and with which password.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown};
use rpostmap::config::Config;
use rpostmap::rules::address::Internal;
use rpostmap::rules::nexthop::{Agent, Place};
use rpostmap::rules::rewrite::VirtualAliases;
use rpostmap::rules::setup::Setup;
use rpostmap::rules::trace::NoTrace;
use rpostmap::{Router, SaslPasswords};

use crate::common::{TestDir, is_ci, is_root, set_mode, shout};
use crate::oracle::{have, original};
use crate::smtp_server::{Received, SmtpServer};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(15);

/// The services that a mail needs on its way from SMTP to SMTP.
const SERVICES: &str = "\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

/// A Postfix of its own: configuration, queue, data, log and port. Ends with the value.
struct Postfix<'d> {
    dir: &'d TestDir,
    config: PathBuf,
    port: u16,
}

impl<'d> Postfix<'d> {
    fn start(dir: &'d TestDir, parameters: &str) -> Postfix<'d> {
        let config = dir.file("postfix");
        for name in ["postfix", "queue", "data"] {
            fs::create_dir(dir.file(name)).expect("directory");
            set_mode(&dir.file(name), 0o755);
        }
        let user = User::from_name("postfix").expect("users").expect("postfix");
        chown(&dir.file("data"), Some(user.uid), None).expect("chown");
        let port = free_port();
        let mut main_cf = parameters.to_owned();
        let at = |name| dir.file(name).display().to_string();
        write!(
            main_cf,
            "queue_directory = {}\ndata_directory = {}\n\
             maillog_file = {}\nmaillog_file_prefixes = {}\n",
            at("queue"),
            at("data"),
            at("log"),
            at("")
        )
        .expect("a string");
        fs::write(config.join("main.cf"), main_cf).expect("main.cf");
        let master_cf = format!("127.0.0.1:{port} inet n - n - - smtpd\n{SERVICES}");
        fs::write(config.join("master.cf"), master_cf).expect("master.cf");
        let postfix = Postfix { dir, config, port };
        // The daemon goes on with the pipes it was started with, so its output is not read.
        let started = postfix.command("start");
        assert!(started, "postfix start\n{}", postfix.log());
        postfix
    }

    /// Whether `postfix -c DIR command` succeeds in time.
    fn command(&self, command: &str) -> bool {
        let config = self.config.display();
        let script = format!("exec postfix -c '{config}' {command} < /dev/null > /dev/null 2>&1");
        let run = original(self.dir, "sh").args(["-c", &script]).limit(LIMIT);
        run.finish().status == 0
    }

    /// What the daemons had to say, for failures.
    fn log(&self) -> String {
        fs::read_to_string(self.dir.file("log")).unwrap_or_default()
    }

    /// The process that started all others.
    fn master(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.dir.file("queue/pid/master.pid")).ok()?;
        text.trim()
            .parse()
            .ok()
            .filter(|&pid| pid > 1)
            .map(Pid::from_raw)
    }

    /// Hands a message in by SMTP.
    fn send(&self, sender: &str, recipient: &str) {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect to smtpd");
        stream.set_read_timeout(Some(LIMIT)).expect("time limit");
        let mut out = &stream;
        let mut input = BufReader::new(&stream);
        for (say, code) in [
            (String::new(), "220"),
            ("HELO client.example\r\n".into(), "250"),
            (format!("MAIL FROM:<{sender}>\r\n"), "250"),
            (format!("RCPT TO:<{recipient}>\r\n"), "250"),
            ("DATA\r\n".into(), "354"),
            (
                format!("From: <{sender}>\r\nSubject: x\r\n\r\nx\r\n.\r\n"),
                "250",
            ),
            ("QUIT\r\n".into(), "221"),
        ] {
            out.write_all(say.as_bytes()).expect("write to smtpd");
            let mut answer = String::new();
            let read = input.read_line(&mut answer);
            assert!(
                read.is_ok() && answer.starts_with(code),
                "{say:?} {answer:?}\n{}",
                self.log()
            );
        }
    }
}

impl Drop for Postfix<'_> {
    fn drop(&mut self) {
        let Some(master) = self.master() else {
            return;
        };
        // On the way out of a failure nothing else must fail.
        let stopped = !thread::panicking() && self.command("stop");
        let is_gone = || kill(master, None).is_err();
        let start = Instant::now();
        while stopped && !is_gone() && start.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(20));
        }
        if !is_gone() {
            // It leads a group, and all daemons are in it.
            let _ = nix::sys::signal::killpg(master, Signal::SIGTERM);
            let _ = kill(master, Signal::SIGTERM);
        }
    }
}

/// A port that nobody listens on at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("address").port()
}

/// What the library says becomes of a message: one entry for each delivery.
fn predicted(config: &std::path::Path, sender: &str, recipient: &str) -> Vec<Received> {
    let mut warn = |text: Vec<u8>| panic!("{}", text.escape_ascii());
    let main_cf = Config::load(config, &mut warn).expect("main.cf");
    let mut warn = |text: Vec<u8>| panic!("{}", text.escape_ascii());
    let mut setup = Setup::new(&main_cf, &mut warn).expect("setup");
    let aliases = VirtualAliases::open(&mut setup).expect("virtual_alias_maps");
    let router = Router::from_main_cf(config).expect("a router");
    let passwords = SaslPasswords::from_main_cf(config).expect("passwords");

    let expanded = aliases
        .expand(&Internal::from(recipient), &mut NoTrace)
        .expect("aliases");
    let mut deliveries: Vec<Received> = Vec::new();
    for recipient in expanded {
        let route = router.route(sender, recipient.borrowed()).expect("a route");
        assert_eq!(route.transport, b"smtp");
        let destination = router
            .destinations(Agent::Smtp, &route.nexthop)
            .expect("well-formed")
            .remove(0);
        let Place::Host { host, port, .. } = &destination.place else {
            panic!("{destination:?}");
        };
        let login = passwords
            .lookup(sender, &destination, host)
            .expect("found out")
            .expect("credentials");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        deliveries.push(Received {
            port: *port,
            username: text(login.username()),
            password: text(login.password()),
            sender: sender.to_owned(),
            recipients: vec![text(recipient.as_bytes())],
        });
    }
    deliveries
}

#[test]
fn mail_takes_the_predicted_way_with_the_predicted_password() {
    if !have(&["postfix", "sh"]) {
        return;
    }
    if !is_root() {
        assert!(!is_ci(), "a private Postfix can be started by root alone");
        shout("live: a private Postfix can be started by root alone");
        return;
    }
    let dir = TestDir::new("live");
    let (relay, partner) = (SmtpServer::start("PLAIN"), SmtpServer::start("LOGIN"));
    let (to_relay, to_partner) = (relay.port(), partner.port());
    dir.write(
        "transport",
        format!(
            "partner.example smtp:[127.0.0.1]:{to_partner}\n\
             .partner.example smtp:[127.0.0.1]:{to_partner}\n"
        ),
    );
    dir.write(
        "relay_password",
        format!(
            "[127.0.0.1]:{to_relay} corp:for the relay\n\
             [127.0.0.1]:{to_partner} us:with:colons\n\
             boss@corp.example boss:own password\n\
             127.0.0.1:{to_relay} never:used\n"
        ),
    );
    dir.write(
        "virtual",
        "sales@corp.example ann@partner.example, bob@elsewhere.example\n\
         @corp.example desk@sub.partner.example\n",
    );
    for table in ["hash:transport", "lmdb:relay_password", "cdb:virtual"] {
        dir.ours("postmap").args([table]).ok();
    }
    let at = |name| dir.file(name).display().to_string();
    let (transport, password, aliases) = (at("transport"), at("relay_password"), at("virtual"));
    let parameters = format!(
        "compatibility_level = 3.6\n\
         myhostname = mail.corp.example\n\
         mydestination = localhost\n\
         mynetworks = 127.0.0.0/8\n\
         inet_interfaces = loopback-only\n\
         inet_protocols = ipv4\n\
         local_recipient_maps =\n\
         alias_maps =\n\
         alias_database =\n\
         relayhost = [127.0.0.1]:{to_relay}\n\
         virtual_alias_domains = corp.example\n\
         virtual_alias_maps = cdb:{aliases}\n\
         transport_maps = hash:{transport}\n\
         smtp_sasl_password_maps = lmdb:{password}\n\
         smtp_sasl_auth_enable = yes\n\
         smtp_sasl_security_options = noanonymous\n\
         smtp_sender_dependent_authentication = yes\n\
         smtp_tls_security_level = none\n\
         smtp_dns_support_level = disabled\n\
         smtpd_relay_restrictions = permit_mynetworks, reject\n\
         recipient_delimiter = +\n"
    );
    let postfix = Postfix::start(&dir, &parameters);

    let mut expect = Vec::new();
    for (sender, recipient) in [
        // Two recipients, two ways.
        ("clerk@corp.example", "sales@corp.example"),
        // The whole domain, to a subdomain with a leading dot in the table.
        ("clerk@corp.example", "other@corp.example"),
        ("clerk@corp.example", "someone@far.example"),
        // The sender's own password comes first, on either server.
        ("boss@corp.example", "someone@far.example"),
        ("boss@corp.example", "someone@partner.example"),
    ] {
        expect.extend(predicted(&dir.file("postfix"), sender, recipient));
        postfix.send(sender, recipient);
    }
    expect.sort();
    let count = |port| expect.iter().filter(|found| found.port == port).count();
    assert_eq!((count(to_relay), count(to_partner)), (3, 3), "{expect:#?}");
    let mut found = relay.wait_for(count(to_relay), LIMIT);
    found.extend(partner.wait_for(count(to_partner), LIMIT));
    found.sort();
    assert_eq!(found, expect, "\n{}", postfix.log());

    // And the passwords are what the tables say, whatever the prediction was.
    let logins: Vec<_> = found
        .iter()
        .map(|mail| {
            (
                mail.port == to_relay,
                &*mail.username,
                &*mail.password,
                &*mail.sender,
            )
        })
        .collect();
    for login in [
        (true, "corp", "for the relay", "clerk@corp.example"),
        (false, "us", "with:colons", "clerk@corp.example"),
        (true, "boss", "own password", "boss@corp.example"),
        (false, "boss", "own password", "boss@corp.example"),
    ] {
        assert!(logins.contains(&login), "{login:?} not in {logins:?}");
    }
}
