//! The same scripts, with ours and with the original as `postmap`: same output, same errors, same
//! exit status.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::common::{Outcome, TestDir};
use crate::oracle::have;

/// The original sleeps a second before each fatal error.
const THREADS: usize = 6;

/// Before each script: `r` shows the exit status, `t` and `u` are two small sources.
const PRELUDE: &str = r#"r() { "$@"; echo "rc=$?"; }
printf 'k1 v1\nk2 v2\nKey3 v3\n' > t; printf 'k1 other\nk4 v4\n' > u
"#;

/// Scripts about options, operands and errors.
const SCRIPTS: &[(&str, &str)] = &[
    ("create", "r postmap hash:t; ls; postmap -s hash:t | sort; stat -c %a t.db"),
    ("create two", "r postmap hash:t hash:u; ls"),
    ("type from main.cf", "r postmap t; ls; r postmap -q k1 t"),
    ("name with directory", "mkdir d; cp t d/t; r postmap hash:d/t; ls d; r postmap -q k2 hash:d/t"),
    ("absolute name", r#"r postmap "hash:$PWD/t"; r postmap -q k2 "hash:$PWD/t""#),
    ("missing source", "r postmap hash:no; ls"),
    ("missing source between others", "r postmap hash:t hash:no hash:u; ls"),
    ("missing source keeps the table", "postmap hash:t; rm t; r postmap hash:t; r postmap -q k1 hash:t"),
    ("unreadable directory", "r postmap hash:no/t; r postmap -q k hash:no/t; r postmap -s hash:no/t"),
    ("source below a file", "r postmap hash:t/x; r postmap -q k hash:t/x"),
    ("query", "postmap hash:t; r postmap -q k1 hash:t; r postmap -q no hash:t; r postmap -q '' hash:t"),
    ("query folds", "postmap hash:t; r postmap -q KEY3 hash:t; r postmap -f -q Key3 hash:t"),
    ("query two tables", "postmap hash:t hash:u; r postmap -q k1 hash:t hash:u; r postmap -q k4 hash:t hash:u"),
    ("query, later table missing", "postmap hash:t; r postmap -q k1 hash:t hash:no; r postmap -q x hash:t hash:no"),
    ("query, first table missing", "postmap hash:t; r postmap -q k1 hash:no hash:t"),
    ("query missing table", "r postmap -q k1 hash:no; r postmap -q - hash:no < t; r postmap -s hash:no"),
    ("query stdin", "postmap hash:t; printf 'k2\\nno\\nK1\\nkEY3\\n' | r postmap -q - hash:t"),
    ("query stdin oddities", "postmap hash:t; printf 'k1\\r\\n\\n k1\\nk1 \\nk2\\0k1\\nk1' | r postmap -q - hash:t"),
    ("query stdin finds nothing", "postmap hash:t; printf 'a\\nb\\n' | r postmap -q - hash:t"),
    ("query empty stdin", "postmap hash:t; r postmap -q - hash:t < /dev/null; r postmap -q - hash:no < /dev/null"),
    ("query stdin, two tables", "postmap hash:t hash:u; printf 'k1\\nk4\\nk5\\n' | r postmap -q - hash:t hash:u"),
    ("list", "postmap hash:t; postmap -s hash:t | sort; postmap -s hash:t > out; echo \"rc=$?\""),
    ("list the first only", "postmap hash:u; r postmap -s hash:u nonsense:x > out; sort out"),
    ("list without operand", "r postmap -s"),
    ("list an empty table", ": > e; postmap hash:e; r postmap -s hash:e; r postmap -q k hash:e"),
    ("no folding", "r postmap -f hash:t; r postmap -q Key3 hash:t; r postmap -f -q Key3 hash:t; postmap -s hash:t | sort"),
    ("without NUL", "r postmap -n hash:t; for o in -N -n -f; do r postmap $o -q k1 hash:t; postmap $o -s hash:t | sort; done"),
    ("with NUL", "r postmap -N hash:t; for o in -N -n -f; do r postmap $o -q k1 hash:t; postmap $o -s hash:t | sort; done"),
    ("last of -N and -n", "postmap -Nn hash:t; r postmap -N -q k1 hash:t; postmap -nN hash:t; r postmap -N -q k1 hash:t"),
    ("duplicates", "printf 'a 1\\nA 2\\na 3\\n' > d; for o in -o -r -w -rw -wr; do r postmap $o hash:d; postmap -s hash:d; done"),
    ("duplicates without folding", "printf 'a 1\\nA 2\\na 3\\n' > d; r postmap -f hash:d; postmap -f -s hash:d | sort"),
    ("modes", "chmod 600 t; r postmap hash:t; r postmap -p hash:u; stat -c '%n %a' *.db"),
    ("options that do nothing here", "r postmap -o hash:t; r postmap -oprw -q k1 hash:t; r postmap -U -q k1 hash:t"),
    ("unknown type", "r postmap nosuch:t; r postmap -q k nosuch:t; r postmap -s nosuch:t; r postmap nosuch:no"),
    ("type is case sensitive", "r postmap HASH:t; r postmap -q k Hash:t"),
    ("empty pieces", "r postmap hash:; r postmap :t; r postmap ''; r postmap -q k hash:; r postmap -q k :t; r postmap -s hash:"),
    ("colon in the name", "cp t a:b; r postmap hash:a:b; ls; r postmap -q k1 hash:a:b"),
    ("garbage table", "printf 'not a table\\n' > g.db; r postmap -q k hash:g; r postmap -s hash:g; cat g.db"),
    ("garbage is overwritten", "printf 'not a table\\n' > t.db; r postmap hash:t; r postmap -q k1 hash:t"),
    ("page of zeros", "head -c 8192 /dev/zero > g.db; r postmap -q k hash:g; r postmap -s hash:g"),
    ("text of several pages", "yes | head -c 20000 > g.db; r postmap -q k hash:g; r postmap -s hash:g"),
    ("empty table file", ": > t.db; r postmap -q k1 hash:t; r postmap -s hash:t; r postmap hash:t; r postmap -q k1 hash:t"),
    ("table is a directory", "mkdir t.db; r postmap -q k1 hash:t; r postmap -s hash:t; r postmap hash:t; ls"),
    ("usage", "r postmap; r postmap -q k; r postmap -y hash:t; r postmap -q; r postmap --help; r postmap -c"),
    ("modes exclude each other", "r postmap -s -q k hash:t; r postmap -q k -s hash:t; r postmap -q k -q l hash:t"),
    ("bundled options", "postmap -f hash:t; r postmap -fq Key3 hash:t; r postmap -fqKey3 hash:t; r postmap -qk1 hash:t"),
    ("double dash", "postmap hash:t; r postmap -q k1 -- hash:t; r postmap -q -- hash:t; r postmap -- hash:t"),
    ("options after operands", "r postmap hash:t -q k1; ls"),
    ("older than source", "postmap hash:t; touch -d '2020-01-01' t.db; touch -d '2021-01-01' t
        r postmap -q k1 hash:t; r postmap -s hash:t > out; sort out; r postmap hash:t; r postmap -q k1 hash:t"),
    ("as old as source", "postmap hash:t; touch -d '2021-01-01' t.db t; r postmap -q k1 hash:t"),
    ("source gone", "postmap hash:t; rm t; touch -d '2020-01-01' t.db; r postmap -q k1 hash:t"),
    ("other configuration", "mkdir c; printf 'default_database_type = nosuch\\n' > c/main.cf
        touch -d '2021-01-01' c/main.cf; r postmap -c c t; r postmap -c c -q k u; r postmap -c no hash:t
        MAIL_CONFIG=c r postmap t"),
    ("binary value", "printf 'k \\001\\177 \\tx\\n' > b; r postmap hash:b; r postmap -q k hash:b; postmap -s hash:b"),
    ("long key and value", "{ printf '%5000s' x | tr ' ' k; printf ' '; head -c 200000 /dev/zero | tr '\\0' v; echo; } > l
        r postmap hash:l; postmap -s hash:l | md5sum; postmap -q \"$(printf '%5000s' x | tr ' ' k)\" hash:l | md5sum"),
    ("value that is not UTF-8", "printf 'k \\377v\\nl w\\n' > b; r postmap -u hash:b; r postmap -q k hash:b
        r postmap -q l hash:b; r postmap -u -q k hash:b; r postmap -s hash:b | sort"),
    ("files as results of rules", r#"printf one > f1; printf 'two\n' > f2; mkdir d
        printf '/a/ f1\n/b/ f1, f2\n/c/ no\n/(d)/ $1\n/e/ d\n/f/\n/g( f1\n/(h)/ f2\n/i/ ,\n' > e
        printf '10.0.0.0/8 f1\n11.0.0.0/8 f1 f2\n12.0.0.0/8 no\n13.0.0.0/33 no\n14.0.0.0/8\n15.0.0.0/8 d\n' > n
        touch -d '2021-01-01' e n; for y in regexp pcre; do for k in a b c d f h; do r postmap -F -q $k $y:e; done; done
        for k in 10.0.0.1 11.0.0.1 12.0.0.1; do r postmap -F -q $k cidr:n; done; r postmap -F -d k static:no"#),
    ("table that cannot be made", r#"printf 'k v\nbad\n' > b; touch -d '2021-01-01' b; ln -s b no; rm b; mkdir b; cp t b/t
        for y in hash btree lmdb cdb; do r postmap $y:no/t; r postmap $y:t/x; cp t w; echo bad >> w; touch -d '2021-01-01' w
        mkdir -p w.db w.lmdb w.cdb; r postmap $y:w; done"#),
    ("marks of aliases in a failing table", r#": > e; r postalias fail:e; r postmap fail:e; r postalias -i fail:e < /dev/null
        r postmap -i fail:e < /dev/null; printf 'a: b\n' > f; r postalias fail:f; echo 'a b' | r postmap -i cdb:"#),
    ("duplicates in a text", r#"printf 'a 1\nb 2\nA 3\n' > d; touch -d '2021-01-01' d
        for o in -o -r -w; do r postmap $o -s texthash:d > out; sort out; r postmap $o -q a texthash:d; done"#),
    ("configuration of newaliases", r#"mkdir c; printf "alias_database = lmdb:$PWD/al\n" > c/main.cf; printf 'a: b\n' > al
        touch -d '2021-01-01' c/main.cf al; r newaliases -C "$PWD/c/main.cf"; ls; r newaliases -C "$PWD/c"; r newaliases -C c/main.cf
        r newaliases -C "$PWD/al""#),
    ("sizes of memory", r#"mkdir c; for v in berkeley_db_create_buffer_size=x berkeley_db_read_buffer_size=0 lmdb_map_size=10M; do
        echo $v > c/main.cf; touch -d '2021-01-01' c/main.cf; r postmap -c c hash:t; r postalias -c c -q k1 hash:t; done"#),
    ("lock file left by the tools", r#"for y in 1 2; do r postmap lmdb:t; mdb_dump -n -p t.lmdb | sed '1,/HEADER=END/d'; done
        r postmap -d k1 lmdb:t; echo 'k9 v9' | r postmap -i lmdb:t; postmap -s lmdb:t"#),
    ("key that is not UTF-8", "postmap hash:t; r postmap -q \"$(printf 'k\\377')\" hash:t
        printf 'k\\377\\nk1\\n' | r postmap -q - hash:t; r postmap -u -q \"$(printf 'k\\377')\" hash:t"),
];

/// Odd sources: what each line becomes, and what is said about it.
const SOURCES: &[(&str, &[u8])] = &[
    ("empty", b""),
    ("line feeds only", b"\n\n\n"),
    ("comments only", b"# a\n  # b\n\t#c\n"),
    ("blanks only", b"   \n\t\n\x0b\n\x0c\n\r\n"),
    ("continuation", b"k1 a\n  b\n\tc\n\x0bd\n\x0ce\nk2 v\n"),
    ("continued by carriage return", b"k1 a\n\rb\nk2 v\n"),
    ("value on the next line", b"k1\n v1\nk2\n\tv2\n"),
    (
        "comments inside",
        b"k1 a\n# one\n b\n   # two\n\n \t \n c\nk2 v\n",
    ),
    ("comment then text", b"k1 a\n# one\nk2 v\n"),
    ("blank line then continuation", b"k1 a\n\n b\n\n\n c\n"),
    ("indented first", b" k1 v1\nk2 v2\n"),
    ("two indented first", b" k1 v1\n k2 v2\nk3 v3\n"),
    ("indented after comment", b"# c\n k1 v1\nk2 v2\n"),
    (
        "indented of 30 bytes",
        b" 23456789012345678901234567890\nk v\n",
    ),
    (
        "indented of 31 bytes",
        b" 234567890123456789012345678901\nk v\n",
    ),
    ("indented with odd bytes", b"\tk1\x01 v1\x7f\nk2 v2\n"),
    ("indented only", b" k1 v1"),
    ("CRLF", b"k1 v1\r\nk2 v2\r\n k2b\r\n\r\n# c\r\nk3\r\n"),
    ("no final line feed", b"k1 v1\nk2 v2"),
    ("no final line feed, continued", b"k1 v1\n  more"),
    ("no final line feed, comment", b"k1 v1\n# end"),
    ("no final line feed, blank", b"k1 v1\n  "),
    ("NUL in value", b"k1 a\0b\nk2 v\n"),
    ("NUL in key", b"k\0x v\nk2 v\n"),
    ("NUL first", b"\0k v\nk2 v\n"),
    ("NUL after key", b"k1 \0v\nk2 v\n"),
    ("NUL before continuation", b"k1 a\0\n b\n c\nk2 v\n"),
    ("NUL in continuation", b"k1 a\n b\0c\n d\nk2 v\n"),
    ("NUL in comment", b"# a\0b\nk2 v\n"),
    ("NUL in quotes", b"\"a\0b\" v\nk2 v\n"),
    ("missing value", b"k1\nk2 \nk3\t \nk4 v\n"),
    ("missing value with odd bytes", b"k\x02\x7f~\nk4 v\n"),
    (
        "missing value, line numbers",
        b"# 1\n\nk1\n\n# 5\n \nk2\n# 8\nk3\n",
    ),
    ("missing value, continued", b"k0 v\nk1\n\n\t\nk2 v\n"),
    (
        "quoted key",
        b"\"a b\" v\n\"\" e\nx\"y z\" w\n\"p\"q r\n\"tab\there\" t\n",
    ),
    ("quotes in value", b"k \"v\nl v\" \"w\n"),
    ("unbalanced quote", b"\"a b\nx\"y\nk v\n"),
    ("unbalanced quote, continued", b"k v\n\"a\n b\nl v\n"),
    ("quote closed in continuation", b"\"a\n b\" v\n"),
    (
        "backslash",
        b"a\\ b v\na\\\"b v\n\"a\\\" b\" v\n\\k v\na\\\\ b\n",
    ),
    ("backslash at the end", b"k\\\nl v\\\nm v\n"),
    ("backslash before line feed", b"k\\\n v\n"),
    ("alias file", b"name: value\nk v\n"),
    (
        "alias file, quoted",
        b"\"na me:\" value\n\"n\": value\nx:y z\n",
    ),
    ("alias file, no blank", b"a:b\nk v\n"),
    ("colon as value", b"example.com :\n: v\n"),
    (
        "other blanks",
        b"a\tb\nc\x0bd\ne\x0cf\ng\rh\ni \t\x0b\x0c\r j\n",
    ),
    ("trailing blanks", b"a b  \nc d\t\r\x0b\x0c\n"),
    ("hash in line", b"k #v\nl v # w\nm#n v\n"),
    ("byte order mark", b"\xef\xbb\xbfk v\nl v\n"),
    ("byte order mark, comment", b"\xef\xbb\xbf# c d\nl v\n"),
    ("no-break space", b"a\xc2\xa0b\nc\xc2\xa0d v\n"),
    ("duplicates", b"a 1\nb 2\nA 3\na 4\n\"a\" 5\n"),
    ("duplicate with odd bytes", b"a\x01 1\na\x01 2\n"),
    ("duplicate with text", "\u{e4} 1\n\u{c4} 2\n".as_bytes()),
    (
        "folding",
        "STRASSE 1\nstra\u{df}e 2\n\u{3a3}\u{3c2} 3\n\u{130} 4\n\u{13f8} 5\n\u{212a} 6\n"
            .as_bytes(),
    ),
    ("not UTF-8", b"k\xff v\nl v\xff\nm v\n"),
    ("not UTF-8, Latin-1", b"caf\xe9 v\nm v\n"),
    ("not UTF-8 in comment", b"# \xff\xfe\nk v\n"),
    ("not UTF-8, continued", b"k v\n \xff\n w\nl v\n"),
    ("non-characters", b"k\xef\xbf\xbe v\nl\xf4\x8f\xbf\xbf v\n"),
    ("percent", b"%s%n%d v\n%s\nk %s\n"),
    ("numbers", b"0 1\n-1 2\n- 3\n"),
    ("one byte", b"k"),
];

/// Newer originals warn of text after a NUL byte; ours may do so too.
fn stderr(outcome: &Outcome) -> Vec<u8> {
    let lines = outcome.stderr.split_inclusive(|&byte| byte == b'\n');
    let told = lines.filter(|line| {
        let line = String::from_utf8_lossy(line);
        !line.starts_with("BDB") && !line.contains("text after null byte may be ignored")
    });
    told.flatten().copied().collect()
}

/// One script, in a directory prepared by `prepare`; gives how the two sides differ.
pub(crate) fn difference(label: &str, script: &str, prepare: &dyn Fn(&TestDir)) -> Option<String> {
    let script = format!("{PRELUDE}{script}");
    let run = |is_ours: bool| {
        let dir = TestDir::new("story");
        prepare(&dir);
        let shell = if is_ours {
            dir.shell(&script)
        } else {
            dir.run("/bin/sh").args(["-c", &script])
        };
        let outcome = shell.finish();
        // Absolute names end up in messages.
        let place = dir.path().to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&stderr(&outcome)).replace(&place, "@WD@");
        let text = text.lines().map(without_package_hint).collect::<Vec<_>>();
        (outcome, text)
    };
    let ((ours, our_text), (theirs, their_text)) = (run(true), run(false));
    let same =
        ours.stdout == theirs.stdout && our_text == their_text && ours.status == theirs.status;
    (!same).then(|| format!("{label}\nours\n{ours}original\n{theirs}"))
}

/// A message without the packager's advice, which names a package of Postfix.
fn without_package_hint(line: &str) -> String {
    match line.split_once(". Is the postfix-") {
        Some((message, _)) => message.to_string(),
        None => line.to_string(),
    }
}

/// Calls `difference_of` for all items on a few threads, and fails with everything it said.
#[track_caller]
pub(crate) fn assert_no_difference<T: Sync>(
    items: &[T],
    difference_of: impl Fn(&T) -> Option<String> + Sync,
) {
    let next = AtomicUsize::new(0);
    let differences = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    differences
                        .lock()
                        .expect("no panic")
                        .extend(difference_of(item));
                }
            });
        }
    });
    let differences = differences.into_inner().expect("no panic");
    let (count, all) = (differences.len(), items.len());
    assert!(
        differences.is_empty(),
        "{}\n{count} of {all} differ",
        differences.join("\n")
    );
}

#[test]
fn command_lines_do_the_same_as_the_original() {
    if have(&["postmap"]) {
        assert_no_difference(SCRIPTS, |(label, script)| {
            difference(label, script, &|_| {})
        });
    }
}

#[test]
fn odd_sources_give_the_same_table_and_warnings_as_the_original() {
    if !have(&["postmap"]) {
        return;
    }
    let script = "r postmap hash:s; postmap -s hash:s | sort; r postmap -u hash:s
                  postmap -s hash:s | sort; r postmap -frn hash:s; postmap -s hash:s | sort";
    // Level 0 has UTF-8 support off.
    let main_cfs = ["compatibility_level = 3.6\n", "compatibility_level = 0\n"];
    let items: Vec<_> = SOURCES
        .iter()
        .flat_map(|(label, bytes)| main_cfs.map(|main_cf| (label, *bytes, main_cf)))
        .collect();
    assert_no_difference(&items, |(label, bytes, main_cf)| {
        difference(&format!("{label}, {main_cf}"), script, &|dir| {
            dir.main_cf(main_cf);
            dir.write("s", bytes);
        })
    });
}
