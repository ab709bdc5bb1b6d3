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
