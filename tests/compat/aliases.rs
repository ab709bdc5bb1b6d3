//! `postalias` and `newaliases` next to the originals: the same tables, messages and exit status.

use crate::oracle::have;
use crate::stories::{assert_no_difference, difference};

/// Before each script: `s` lists a table of aliases, without the time it was made at.
const ALIASES: &str = r#"s() { postalias "$@" | sed -E 's/^(YP_LAST_MODIFIED:.)[0-9]{10}$/\1T/' | sort; }
printf 'Root: admin\nBoss : me, you\n\303\204: uml\nroot: dup\n"": empty\ne: \\\n' > a
"#;

const SCRIPTS: &[(&str, &str)] = &[
    ("create", "chmod 640 a; for t in hash btree; do r postalias $t:a; s -s $t:a; stat -c %a a.db; rm a.db; done"),
    ("how it is stored", "for o in -o -n -N -f -r -w -u; do r postalias $o hash:a; s -n -s hash:a; s -N -s hash:a
        s -fnq YP_MASTER_NAME hash:a; s -fNq YP_MASTER_NAME hash:a; done"),
    ("query", "postalias hash:a; r postalias -q ROOT hash:a; r postalias -f -q ROOT hash:a; r postalias -q '' hash:a
        r postalias -q e hash:a; r postalias -q @ hash:a; r postalias -q YP_MASTER_NAME hash:a"),
    ("query stdin", "postalias hash:a; printf 'boss\\nnone\\nroot\\n\\303\\204\\n\\n@\\ne\\n\\377\\n' | r postalias -q - hash:a"),
    ("NUL is learned from the first hit", "postalias hash:a; printf 'YP_MASTER_NAME\\nroot\\n' | r postalias -fq - hash:a"),
    ("delete", "postalias hash:a; for k in boss boss @ none; do r postalias -d $k hash:a; done; s -s hash:a
        r postalias -f -d YP_MASTER_NAME hash:a; s -s hash:a"),
    ("add", "postalias hash:a; printf 'b: 2\\nroot: 3\\nbad\\nx y: z\\na@b: c\\n' | r postalias -i hash:a; s -s hash:a"),
    ("add to nothing", ": | r postalias -i hash:n; s -s hash:n; printf '\"@\": x\\n' | r postalias -i hash:m; s -s hash:m"),
    ("add and replace", "postalias hash:a; for o in -ir -iw -in; do printf 'b: 2\\nroot: 3\\n' | r postalias $o hash:a; s -s hash:a; done"),
    ("marks in the source", "printf '\"@\": yy\\nYP_MASTER_NAME: x\\n\"@\": z\\n' > m; for o in -o -r -w -nf -nfr -nfw; do
        r postalias $o btree:m; s -s btree:m; done"),
    ("host name", "printf 'myhostname = h\\n' > c; for n in myhostname=h mydomain=d.e 'mydomain = d
        myhostname = h.$mydomain' myhostname=; do mkdir -p c2; echo \"$n\" | sed 's/^ *//' > c2/main.cf
        touch -d 2021-01-01 c2/main.cf; r postalias -c c2 btree:a; s -s btree:a | grep NAME; done"),
    ("several", "printf 'c: d\\n' > two; r postalias btree:two btree:a btree:no; ls; r postalias -q c btree:no btree:two
        r postalias -q c btree:two btree:no; s -s btree:two btree:a"),
    ("types", "r postalias nosuch:a; r postalias static:a; r postalias fail:no; r postalias -s static:x; r postalias -q k static:y
        echo k | r postalias -q - static:y; r postalias -d k static:x; r postalias a; ls"),
    ("other postmap", "postalias hash:a; r postmap -q root hash:a; postmap -q - hash:a < a; r postmap hash:a; s -s hash:a"),
    ("usage", "for o in -h -m -U -b -F -fF -c -q --help -vZ; do r postalias $o hash:a; done; r postalias; r postalias -s; r postalias -q k"),
    ("modes exclude each other", "r postalias -sq x hash:a; r postalias -q x -s hash:a; r postalias -sd x hash:a"),
    ("usage comes after main.cf", "MAIL_CONFIG=no; for o in -o -s -Z '-q k' '-q k -s'; do r postalias $o; r postmap $o; done"),
    ("services", "for t in tcp socketmap memcache nis proxy ldap mysql; do r postmap $t:a; r postmap -i $t:a; done
        r postmap proxy:no; r postmap -s proxy:hash:a; r postmap -d k tcp:a; r postmap -d k nis:a"),
];

/// What stands in main.cf before each line of `NEWALIASES`.
const MAIN_CF: &str =
    "compatibility_level = 3.6\\nmyhostname = h.example\\nqueue_directory = $PWD/q\\n";

/// Lines of main.cf, and options.
const NEWALIASES: &[(&str, &[&str])] = &[
    (
        "alias_database = btree:a",
        &[
            "",
            "x",
            "-Z",
            "-Z -Y",
            "-iZ x",
            "-C",
            "-oA -Z",
            "-o",
            "-oi -om -o7 -oz -ox5",
            "-oA",
            "-oAa",
            "-oAbtree:b -oAbtree:no",
            "-oAbtree:b",
            "-oAbtree:a,btree:b",
            "-oAfoo:no",
            "-t",
            "-t x",
            "-t -X y",
            "-R full -R hdrs",
            "-R x",
            "-X/tmp/x",
            "-V",
            "-Vx",
            "-B7BIT -B 8BITMIME",
            "-B 8",
            "-N never",
            "-N bogus",
            "-N success,never",
            "-N failure,delay -Z",
            "-h",
            "-r x -f y -F z -L l -G -U -m -e q",
            "-Cno",
            "-C no x",
            "x -Z",
            "-O",
            "-O AliasFile=x",
            "-Ax",
            "-bz",
            "-b",
            "-bi",
            "-bv",
            "-I",
            "-E",
            "-S -W",
            "--help",
            "-i --",
            "-- x",
            "-c",
            "-n",
            "-n x",
        ],
    ),
    (
        "alias_database = btree:a\nqueue_directory = /no/such",
        &["", "x", "-Z", "-n"],
    ),
    ("alias_database = btree:a\nqueue_directory =", &[""]),
    ("alias_database =", &["", "x", "-oAbtree:b"]),
    ("alias_database = ,", &[""]),
    ("alias_database = btree:b btree:a,\tbtree:no btree:a", &[""]),
    (
        "alias_database = btree:a\nalias_database = btree:b",
        &["", "x"],
    ),
    (
        "alias_database = $x\nx = b\ndefault_database_type = btree",
        &[""],
    ),
    ("alias_database = ${x", &["", "-Z"]),
    ("alias_database = -s btree:a", &[""]),
    ("alias_database = static:x", &[""]),
    ("alias_database = proxy:hash:a", &[""]),
    ("default_database_type =", &["", "-Z"]),
    ("compatibility_level = x", &[""]),
    ("lmdb_map_size = x", &[""]),
    ("header_size_limit = 0", &[""]),
    ("smtputf8_enable = x", &[""]),
    ("import_environment = =x", &[""]),
    ("myhostname =", &[""]),
    ("bad", &["", "-Z"]),
];

/// Numbers in main.cf, and variables.
const MAIN_CFS: &[&str] = &[
    "lmdb_map_size = +5",
    "lmdb_map_size = -1",
    "lmdb_map_size = 0x10",
    "lmdb_map_size = 99999999999999999999",
    "lmdb_map_size = 2147483648",
    "lmdb_map_size = $nothing",
    "lmdb_map_size = 007",
    "header_size_limit = 2147483648",
    "header_size_limit = 1 2",
    "mime_nesting_limit = 0",
    "mime_boundary_length_limit = 1s",
    "mime_nesting_limit = x\nlmdb_map_size = x\nheader_size_limit = x\nmime_boundary_length_limit = x",
    "lmdb_map_size = x\nimport_environment = =x\ndefault_database_type =",
    "default_database_type =\nmyhostname =\nqueue_directory =",
    "default_database_type =\nqueue_directory =",
    "import_environment = FOO=bar, { BAR = baz x } LANG",
    "import_environment = FOO=1 FOO=2 {BAR=} MAIL_CONFIG=x",
    "import_environment = {FOO = bar",
    "import_environment = {FOO=1}x",
    "import_environment = {=BAR}",
    "import_environment = FOO =",
    "import_environment = BAR==",
    "import_environment =",
];

#[test]
fn postalias_does_the_same_as_the_original() {
    if have(&["postmap", "postalias"]) {
        assert_no_difference(SCRIPTS, |(label, script)| {
            difference(label, &format!("{ALIASES}{script}"), &|_| {})
        });
    }
}

#[test]
fn newaliases_does_the_same_as_the_original() {
    if !have(&["newaliases", "postalias"]) {
        return;
    }
    let prepare = format!(
        "{ALIASES}mkdir q; printf 'a: b\\nbad\\n' > q/a; printf 'c: d\\n' > q/b
        mkdir cf; MAIL_CONFIG=$PWD/cf; printf \"{MAIN_CF}\" > cf/main.cf
        printf '%s\\n' \"$MORE\" >> cf/main.cf; touch -d 2021-01-01 cf/main.cf\n"
    );
    let runs: Vec<(&str, &[&str])> = NEWALIASES
        .iter()
        .flat_map(|(main_cf, options)| options.chunks(7).map(|some| (*main_cf, some)))
        .collect();
    assert_no_difference(&runs, |(main_cf, options)| {
        let runs: String = options
            .iter()
            .map(|options| format!("r newaliases {options} < /dev/null; ls q; rm -f q/*.db\n"))
            .collect();
        let script = format!("MORE='{main_cf}'\n{prepare}{runs}");
        difference(main_cf, &script, &|_| {})
    });
}

#[test]
fn numbers_and_variables_in_main_cf_mean_the_same_as_for_the_original() {
    if !have(&["postmap"]) {
        return;
    }
    let script = "for k in FOO BAR LANG MAIL_CONFIG TZ; do r postmap -fq $k environ:x | sed 's/^\\/.*/DIR/'; done
        mkdir c; cp $MAIL_CONFIG/main.cf c; touch -d 2021-01-01 c/main.cf; r postmap -c c -fq MAIL_CONFIG environ:x";
    assert_no_difference(MAIN_CFS, |main_cf| {
        difference(main_cf, script, &|dir| dir.main_cf(&format!("{main_cf}\n")))
    });
}

/// What made-up sources are made of.
const PIECES: &[&[u8]] = &[
    b"a",
    b"b",
    b"xy",
    b" ",
    b" ",
    b" ",
    b"  ",
    b"\t",
    b",",
    b", ",
    b":",
    b":",
    b": ",
    b"\"",
    b"\"",
    b"\"",
    b"(",
    b"(",
    b")",
    b")",
    b"[",
    b"[",
    b"]",
    b"]",
    b"<",
    b"<",
    b">",
    b"@",
    b"%",
    b"!",
    b"|",
    b";",
    b".",
    b"\\",
    b"\\",
    b"\\",
    b"\r",
    b"\x0b",
    b"\x01",
    b"\x7f",
    b"\xc3\xa4",
    b"B\xc3\x84",
    b"\n ",
    b"\n\t",
    b"\n#c\n ",
    b"\n \n",
    b"#",
    b"/",
    b"'",
    b"A",
    b"\xff",
    b":include:/x",
    b"|\"cmd a\"",
    b"{",
    b"=",
    b"\xe2\x80\xa8",
    b"owner-",
];

/// A source of `line_count` lines, most of which begin with a name of their own.
fn made_up(seed: u64, line_count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut below = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    let mut text = Vec::new();
    for line in 0..line_count {
        if below(5) < 3 {
            text.extend_from_slice(format!("k{line}").as_bytes());
        }
        for _ in 0..below(8) {
            text.extend_from_slice(PIECES[below(PIECES.len())]);
        }
        if below(5) > 0 {
            text.push(b':');
        }
        for _ in 0..below(14) {
            text.extend_from_slice(PIECES[below(PIECES.len())]);
        }
        text.push(b'\n');
    }
    text
}

/// Sources with a point of their own.
fn odd_sources() -> Vec<Vec<u8>> {
    let long = |len: usize| b"k".repeat(len);
    vec![
        b"".to_vec(),
        b"a: b\r\n  c\r\nd: e\r\n\"f\r\": x\r\n\r\n# x\r\ng:\r\n".to_vec(),
        b" lead: x\na: b\n  # c\n\n  c: d".to_vec(),
        b"\xef\xbb\xbfbom: x\na\xc2\xa0b : y\n".to_vec(),
        b"a: b\0c\n \0d: e\nx\0: y\n\0\nz: w\n".to_vec(),
        b"STRASSE: 1\nstra\xc3\x9fe: 2\n\xc3\x84: 3\n\xc3\xa4: 4\n".to_vec(),
        [&long(100_000)[..], b": v\nbig: ", &long(300_000), b"\n"].concat(),
        [b"many: ".to_vec(), b"a,".repeat(50_000), b"\n".to_vec()].concat(),
        [b"deep: ".to_vec(), b"(".repeat(50_000), b"\n".to_vec()].concat(),
    ]
}

#[test]
fn odd_aliases_give_the_same_table_and_warnings_as_the_original() {
    if !have(&["postalias", "db5.3_dump"]) {
        return;
    }
    // Level 0 has UTF-8 support off.
    let levels = ["3.6", "0"];
    let sources: Vec<(String, Vec<u8>)> = (1..=24)
        .map(|seed| made_up(seed, 400))
        .chain(odd_sources())
        .flat_map(|source| levels.map(|level| (level.to_string(), source.clone())))
        .collect();
    let script = "r postalias btree:s; db5.3_dump -p s.db | sed -E '1,/^HEADER=END/d; s/^ [0-9]{10}$/ T/'
                  r postalias -urn hash:s; postalias -s hash:s | grep -av YP_LAST_MODIFIED | LC_ALL=C sort";
    assert_no_difference(&sources, |(level, source)| {
        difference(&format!("level {level}"), script, &|dir| {
            dir.main_cf(&format!("compatibility_level = {level}\n"));
            dir.write("s", source);
        })
    });
}
