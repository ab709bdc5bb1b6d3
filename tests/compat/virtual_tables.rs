//! Tables without a file, ours and the original's: made-up names, the same answers and the same
//! complaints.

use crate::oracle::have;
use crate::stories::{assert_no_difference, difference};

/// How many names are tried, and how many of them at a time: the original sleeps a second before
/// each fatal error.
const SPEC_COUNT: usize = 400;
const BATCH_LEN: usize = 50;

/// Names with a point of their own.
const SPECS: &[&str] = &[
    "inline:{a=1, B=2}",
    "inline:{ {k = two words}, {\"x y\" = 3}, a = }",
    "inline:{{a\\ b = c}, {a\\=b = c}, a={1 2}, b=x{1, 2}y}",
    "inline:{A=1 a=2 =v}",
    "inline:{\u{c4}=1}",
    "static:{ {a} }",
    "static: a",
    "static:a:b",
    "randmap:{ {a b} }",
    "internal:x",
    "fail:x",
    "unix:passwd.byname",
    "unix:mail.aliases",
    "unionmap:{inline:{a=},static:2,inline:{a=}}",
    "unionmap:{unionmap:{static:x,static:y},static:z}",
    "unionmap:{{static:x}}",
    "unionmap:{static:x,y}",
    "unionmap:{fail:x,static:y}",
    "unionmap:{zork:x}",
    "pipemap:{static:A,inline:{a=b},inline:{b=c}}",
    "pipemap:{inline:{a=},static:x}",
    "pipemap:{inline:{a=b},fail:x}",
    "pipemap:{unionmap:{inline:{a=b},inline:{a=c}},inline:{{b,c}=d}}",
];

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end
    }

    fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    /// A name, mostly well-formed, of tables inside each other up to `depth`.
    fn spec(&mut self, depth: usize) -> String {
        let kinds = ["inline", "static", "unionmap", "pipemap"];
        let kind = kinds[self.below(if depth == 0 { 2 } else { 4 })];
        let count = 1 + self.below(3);
        let items: Vec<String> = (0..count)
            .map(|_| match kind {
                "static" => self.soup(3),
                "inline" => self.item(),
                _ => self.spec(depth - 1),
            })
            .collect();
        let list = items.join(self.one_of(&[",", ", ", " ", " , "]));
        match self.below(12) {
            0 => format!("{kind}:{list}"),
            1 => format!("{kind}:{{{list}"),
            2 => format!("{kind}:{{{list}}}{}", self.soup(2)),
            _ => format!("{kind}:{{{list}}}"),
        }
    }

    fn item(&mut self) -> String {
        let key = self.one_of(&["a", "b", "A", "\"a b\"", "\\=", "", "{a}"]);
        let value = self.one_of(&["a", "b", "c", "", "{1 2}", "x=y", "\""]);
        match self.below(8) {
            0 => self.soup(6),
            1 => format!("{{ {key} = {value} }}"),
            2 => format!("{{{key}={value} {}}}", self.soup(2)),
            _ => format!("{key}={value}"),
        }
    }

    fn soup(&mut self, len_max: usize) -> String {
        let parts = [
            "a", "b", "=", " ", ",", "{", "}", "\"", "\\", ":", "{a}", "a=b",
        ];
        let len = self.below(len_max + 1);
        (0..len).map(|_| self.one_of(&parts)).collect()
    }
}

/// Scripts with tables inside others, files as values, and values that are not UTF-8.
const SCRIPTS: &[(&str, &str)] = &[
    (
        "results of rules are files",
        r#"printf one > one; mkdir d; printf x > 'f$1'; printf 'a\nb\n\n' > keys
        printf '/a/ nofile\n/(a)/ f$1\n/(/ nofile\n/(/ one\n/b/ one, one\n!/z/ f$1\n' > t
        printf '/a/q nofile\n/a/ d\n/a/ ,\n/a/\n/a nofile\n/(a)/ $1\n' >> t
        for t in regexp pcre; do
            r postmap -F -q - $t:t < keys; r postmap -F -q a $t:t; r postmap -q b $t:t
            r postmap -F -h -q - $t:t < msg; r postmap -F -q a "$t:{{/a/ one},{/b/ nofile}}"
        done
        printf '0.0.0.0/99 nofile\n1.1.1.1\n1.1.1.1 nofile\n0.0.0.0/0 one, one\n::/0 d\n' > t
        r postmap -F -q 1.1.1.1 cidr:t; r postmap -F -q :: cidr:t"#,
    ),
    (
        "files and unions",
        "printf one > one; r postmap -F -q a 'unionmap:{regexp:{{/a/ one}},static:one}'
        r postmap -F -q a 'unionmap:{regexp:{{/a/ nofile}},static:one}'
        r postmap -F -q a 'pipemap:{static:one,regexp:{{/b25l/ one}}}'",
    ),
    (
        "values that are not UTF-8",
        r#"x=$(printf '\377'); export x
        for t in "static:$x" "randmap:{$x}" environ:x "unionmap:{static:a,static:$x}" \
            "pipemap:{static:b,regexp:{{/(b)/ \$1$x}},static:c}" "pipemap:{static:$x,static:b}" \
            "unionmap:{static:a,pipemap:{static:b,regexp:{{/b/ $x}}}}" "unionmap:{environ:x}"; do
            r postmap -q x "$t"; r postmap -u -q x "$t"
        done"#,
    ),
    (
        "a member that is listed twice is opened once",
        "W='regexp:{{/(/ 1}}'; r postmap -q k \"unionmap:{$W,pipemap:{$W}}\"
        r postmap -q k \"unionmap:{pipemap:{$W},unionmap:{$W}}\"; r postmap -q k \"$W\" \"unionmap:{$W}\"
        r postmap -q k \"unionmap:{pipemap:{$W},regexp:{ {/(/ 1}}}\"
        r postmap -q k \"unionmap:{$W}\" \"pipemap:{$W}\"",
    ),
    (
        "patterns in pipes and unions",
        "r postmap -q 10.0.0.1 'pipemap:{cidr:{{10.0.0.0/8 ten}},inline:{ten=10}}'
        r postmap -q A 'pipemap:{regexp:{{/^(.*)$/ <$1>}},static:x}'
        r postmap -q A 'pipemap:{regexp:{{/^(.*)$/ $1}},inline:{a=B},pcre:{{/(.)/ <$1>}}}'
        r postmap -q a 'pipemap:{inline:{a=},regexp:{{/^$/ empty}}}'
        r postmap -q a 'unionmap:{regexp:{{/a(/ 1}},pcre:{{/(a)/ $1$1}},static:s}'
        r postmap -q a 'unionmap:{regexp:nofile,static:s}'; r postmap -q a 'pipemap:{cidr:{x}}'
        r postmap -hb -q - 'pipemap:{regexp:{{/^(Subject): (.*)/ $2}},static:s}' < msg
        r postmap -b -q - 'unionmap:{static:x,regexp:{{/e/ e}}}' < msg",
    ),
    (
        "messages",
        r"for o in -h -b -hb -hm -bm -hbm; do
            r postmap $o -q - 'regexp:{{/^from:.*<(.*)>/ $1} {/^$/ sep} {/^[[:space:]]/ blank} {/./ x}}' < msg
            r postmap $o -q - 'pcre:{{/\n/ [more]} {/^(.*?):/ [$1]}}' < msg
            r postmap $o -q - 'cidr:{{0.0.0.0/0 x}}' 'regexp:{{/o(.)/ $1}}' < msg
        done; r postmap -h -q - 'regexp:{{/(/ 1}}' < msg; r postmap -h -q - regexp:nofile < msg",
    ),
    (
        "variables of the configuration",
        "mkdir c; printf 'import_environment = foo bar=7, { baz = x y } zed=\n' > c/main.cf
        for k in foo bar baz zed qux; do
            foo=1 bar=2 qux=3 r postmap -c c -q $k environ:x
            foo=1 r postmap -c c -q $k 'pipemap:{environ:x,inline:{7=seven,1=one}}'
        done",
    ),
    (
        "rules are refused changes",
        "for t in regexp pcre cidr; do
            r postmap -s $t:x; r postmap -d a $t:x; r postmap $t:x; r postmap -i $t:x < /dev/null
            r postmap -d - $t:x < /dev/null; r postmap -q a $t:; r postmap -q a $t
        done; r postmap -s 'unionmap:{static:a}'; r postmap -d a 'pipemap:{static:a}'; r postmap 'pipemap:{static:a}'",
    ),
];

#[test]
fn tables_in_tables_do_the_same_as_the_original() {
    if !have(&["postmap"]) {
        return;
    }
    let message = "From: A <a@b>\nSubject: Hello\n  World\nX-A : 1\nMIME-Version: 1.0\n\
        Content-Type: multipart/mixed; boundary=B\n\npre\n--B\nContent-Type: text/plain\n\n\
        body\n--B--\nend\n";
    assert_no_difference(SCRIPTS, |(label, script)| {
        difference(label, script, &|dir| {
            dir.write("msg", message);
        })
    });
}

#[test]
fn names_mean_the_same_as_for_the_original() {
    if !have(&["postmap"]) {
        return;
    }
    let mut numbers = Numbers(1);
    let made_up = (0..SPEC_COUNT).map(|_| numbers.spec(2));
    let specs: Vec<String> = SPECS
        .iter()
        .map(ToString::to_string)
        .chain(made_up)
        .collect();
    let batches: Vec<&[String]> = specs.chunks(BATCH_LEN).collect();
    // All at a time, and their output in order.
    let script = "mkdir out; i=100
        while IFS= read -r spec; do
            i=$((i + 1))
            for k in a '' B; do r postmap -q \"$k\" \"$spec\"; done > out/$i 2>&1 &
        done < specs
        wait; i=100
        while IFS= read -r spec; do i=$((i + 1)); echo \"$spec\"; cat out/$i; done < specs";
    assert_no_difference(&batches, |batch| {
        difference("names", script, &|dir| {
            dir.write("specs", batch.join("\n") + "\n");
        })
    });
}
