use super::*;
use crate::source::testing::{BreaksAtEnd, Dribble};

/// The pieces of a message: `H` header, `B` body line, `S` missing separator.
fn pieces_with(reader: impl Read, mime: bool, limits: MessageLimits) -> Vec<String> {
    let mut pieces = MessagePieces::new("m", reader, mime, limits);
    let mut found = Vec::new();
    while let Some(piece) = pieces.next_piece().unwrap() {
        let kind = match piece.kind {
            PieceKind::Header => 'H',
            PieceKind::Body => 'B',
            PieceKind::MissingSeparator => 'S',
        };
        found.push(format!("{kind}{}", piece.text.escape_ascii()));
    }
    found
}

fn pieces(text: &[u8]) -> Vec<String> {
    pieces_with(text, true, MessageLimits::default())
}

/// The headers of a message behind the first, and the body lines that look like headers.
fn later_headers(text: &[u8]) -> String {
    let found = pieces(text);
    let later = found.iter().skip(1).filter(|piece| piece.contains(": "));
    later.map(|piece| &piece[..2]).collect()
}

/// A message with this content type and these lines behind the separator.
fn message(content_type: &str, lines: &str) -> Vec<u8> {
    format!(
        "Content-Type:{content_type}\n\n{}\n",
        lines.replace('|', "\n")
    )
    .into_bytes()
}

// What is expected here is what Postfix 3.7 does.

#[test]
fn headers_end_at_the_first_other_line() {
    for (text, expect) in [
        (&b""[..], &[][..]),
        (b"\n", &["B"]),
        (b"x", &["S", "Bx"]),
        (b"A: b", &["HA: b"]),
        (b"A: b\n\n", &["HA: b", "B"]),
        (b"A: b\nfoo\nC: d\n", &["HA: b", "S", "Bfoo", "BC: d"]),
        (b" x: y\nA: b\n", &["S", "B x: y", "BA: b"]),
        (b"From a b\nA: b\n", &["S", "BFrom a b", "BA: b"]),
        (b"From : x\n", &["HFrom: x"]),
        (
            b"A: b\n\tc\n \n d\n\nx\n",
            &["HA: b\\n\\tc\\n \\n d", "B", "Bx"],
        ),
        (b"A: b\n c", &["HA: b\\n c"]),
        (b"A: b\n\x0bc\n", &["HA: b", "S", "B\\x0bc"]),
        (
            b"A: b\r\n c\r\n\r\nx\r\n",
            &["HA: b\\r\\n c\\r", "S", "B\\r", "Bx\\r"],
        ),
    ] {
        assert_eq!(pieces(text), expect, "{}", text.escape_ascii());
    }
}

#[test]
fn the_name_of_a_header_is_printable_ascii() {
    for (line, expect) in [
        (&b"a:b"[..], &["Ha:b"][..]),
        (b"A \t : b", &["HA: b"]),
        (b"A[(~!: b", &["HA[(~!: b"]),
        (b"A b: c", &["S", "BA b: c"]),
        (b": c", &["S", "B: c"]),
        (b"A\x7f: c", &["S", "BA\\x7f: c"]),
        (b"A\x80: c", &["S", "BA\\x80: c"]),
        (b"A\r: c", &["S", "BA\\r: c"]),
        (b"A", &["S", "BA"]),
    ] {
        assert_eq!(pieces(line), expect, "{}", line.escape_ascii());
    }
}

#[test]
fn a_line_ends_at_its_first_nul_and_is_not_empty_then() {
    for (text, expect) in [
        (
            &b"A: b\0x\n c\0d\n e\nB: c\n\n"[..],
            &["HA: b\\n c\\n e", "HB: c", "B"][..],
        ),
        (b"A: b\n\0\nB: c\n", &["HA: b", "S", "B", "BB: c"]),
        (b"A\0: b\n", &["S", "BA"]),
        (b"\nx\0y\n", &["B", "Bx"]),
    ] {
        assert_eq!(pieces(text), expect, "{}", text.escape_ascii());
    }
    let text = message(" multipart/x; boundary=X", "--X\0--|A: 1||--\0X|B: 2");
    assert_eq!(later_headers(&text), "HABB");
    // A boundary without text is found in lines of three bytes and more.
    let text = message(
        " multipart/x; boundary=\"\"",
        "--|A: 1|--\0|B: 2||----|C: 3",
    );
    assert_eq!(later_headers(&text), "BAHBBC");
}

#[test]
fn a_long_header_takes_no_more_lines() {
    let limits = MessageLimits {
        header_len: 10,
        ..MessageLimits::default()
    };
    for (text, expect) in [
        (
            &b"A: 34567890123\n x\nB: c\n"[..],
            &["HA: 34567890123", "HB: c"][..],
        ),
        (b"A: 3456\n 9\n x\n", &["HA: 3456\\n 9"]),
        (b"A: 345678\n 123\n x\n", &["HA: 345678\\n 123"]),
        // Blanks that are dropped do not count.
        (b"A             : x\n y\n", &["HA: x\\n y"]),
    ] {
        assert_eq!(pieces_with(text, true, limits), expect);
    }
}

#[test]
fn parts_have_headers_and_so_do_messages() {
    let text = message(
        " multipart/mixed; boundary=X",
        "pre|--X|A: 1||text|--X|Content-Type: message/rfc822||B: 2||C: 3|--X--|D: 4|--X|E: 5",
    );
    assert_eq!(
        pieces(&text),
        [
            "HContent-Type: multipart/mixed; boundary=X",
            "B",
            "Bpre",
            "B--X",
            "HA: 1",
            "B",
            "Btext",
            "B--X",
            "HContent-Type: message/rfc822",
            "B",
            "HB: 2",
            "B",
            "BC: 3",
            "B--X--",
            "BD: 4",
            "B--X",
            "BE: 5",
        ]
    );
    let plain = pieces_with(text.as_slice(), false, MessageLimits::default());
    assert_eq!(
        plain.iter().filter(|piece| piece.starts_with('H')).count(),
        1
    );
    assert_eq!(plain.len(), pieces(&text).len());
}

#[test]
fn headers_that_end_without_an_empty_line_lead_to_a_body() {
    let lines = "A: 1|foo|B: 2||C: 3";
    assert_eq!(later_headers(&message(" message/rfc822", lines)), "HABBBC");
    assert_eq!(
        pieces(b"Content-Type: message/rfc822\nfoo\nA: b\n"),
        ["HContent-Type: message/rfc822", "S", "Bfoo", "BA: b"]
    );
    assert_eq!(
        pieces(b"Content-Type: multipart/x; boundary=X\n--X\nA: b\n"),
        [
            "HContent-Type: multipart/x; boundary=X",
            "S",
            "B--X",
            "HA: b"
        ]
    );
}

#[test]
fn boundaries_are_tried_from_the_inside_and_by_their_beginning() {
    let outer = " multipart/x; boundary=";
    for (boundary, lines, expect) in [
        (
            "X",
            "--X |A: 1||--X-|B: 2|| --X|C: 3||--x|D: 4|--X--z|E: 5|--X|F: 6",
            "HAHBBCBDBEBF",
        ),
        (
            "X",
            "--X|A: 1|--X|B: 2|--X: c|D: 3|--X--|E: 4",
            "HAHBH-HDBE",
        ),
        ("X", "--X|A: 1| b|--X| c|B: 2", "HABB"),
        ("\"X--\"", "--X--|A: 1||--X|B: 2||--X----|C: 3", "HABBBC"),
        ("-", "---|A: 1||----|B: 2||-----|C: 3", "HAHBBC"),
        // An outer one ends what is inside.
        (
            "X",
            "--X|Content-Type: multipart/x; boundary=Y||--Y|A: 1||--X|B: 2||--Y|C: 3",
            "HCHAHBBC",
        ),
        (
            "X",
            "--X|Content-Type: multipart/x; boundary=X||--X|A: 1||--X--|--X|B: 2",
            "HCHAHB",
        ),
        // Every one of a header is waited for, whatever the last header says.
        (
            "X; boundary=Y",
            "--X|A: 1||--Y|B: 2||--X|C: 3||--Y--|--X|D: 4",
            "HABBHCHD",
        ),
        ("X; boundary=Y", "--Y|A: 1||--Y--|--X|B: 2", "HAHB"),
    ] {
        let text = message(&format!("{outer}{boundary}"), lines);
        assert_eq!(later_headers(&text), expect, "{boundary} {lines}");
    }
    let text = b"Content-Type: multipart/x; boundary=X\nContent-Type: a/b\n\n--X\nA: 1\n";
    assert_eq!(pieces(text).last().unwrap(), "HA: 1");
}

#[test]
fn parts_of_a_digest_are_messages() {
    for (lines, expect) in [
        ("--X||A: 1||B: 2|--X|C: 3||D: 4||E: 5", "HABBHCHDBE"),
        ("--X|Content-Type: text/plain||A: 1", "HCBA"),
        (
            "--X|Content-Type: multipart/x; boundary=Y||--Y||A: 1|--X||B: 2",
            "HCBAHB",
        ),
    ] {
        let text = message(" multipart/digest; boundary=X", lines);
        assert_eq!(later_headers(&text), expect, "{lines}");
    }
}

#[test]
fn a_message_in_a_message_is_rfc822_or_global() {
    for (content_type, is_message) in [
        (" message/rfc822", true),
        ("(c) Message (c) / (c) RFC822 foo", true),
        (" message/global", true),
        (" message/partial", false),
        (" message/delivery-status", false),
        (" message", false),
        (" message rfc822", false),
        (" message/rfc822x", false),
        (" message/\"rfc822\"", false),
        (" text/rfc822-headers", false),
    ] {
        let expect = if is_message { "HABB" } else { "BABB" };
        let found = later_headers(&message(content_type, "A: 1||B: 2"));
        assert_eq!(found, expect, "{content_type}");
    }
    let encoded = b"Content-Transfer-Encoding: base64\nContent-Type: message/rfc822\n\nA: 1\n";
    assert_eq!(pieces(encoded).last().unwrap(), "HA: 1");
}

#[test]
fn boundaries_are_read_as_the_original_reads_them() {
    for (parameters, boundary) in [
        ("; boundary=X", "X"),
        (" ; BOUNDARY = X ", "X"),
        (";boundary=X;", "X"),
        ("; x; boundary=X", "X"),
        ("; x=y=z; boundary=X", "X"),
        ("; ; boundary=X", "X"),
        ("; a=\"b;c\"; boundary=X", "X"),
        ("; boundary=;boundary=X", "X"),
        ("; boundary=X Y", "X"),
        ("; boundary=X\"Y\"", "X"),
        ("; boundary=X?Y", "X"),
        ("; boundary=X.Y", "X.Y"),
        ("; boundary=\"X Y\"", "X Y"),
        ("; boundary=\"X Y", "X Y"),
        ("; boundary=\"\\X\\\"\"", "X\""),
        ("; boundary=\"X\\", "X"),
        ("; boundary=\"X\n Y\"", "X Y"),
        ("; boundary=\"X\r\n Y\"", "X Y"),
        ("; boundary=\"X\\\r\n Y\"", "X Y"),
        ("; boundary=\"X\rY\"", "X\rY"),
        ("; boundary=\n\tX", "X"),
        ("; boundary=X\rY", "X"),
        ("; boundary=(c\\)(d))X(e)Y", "X"),
        ("; (boundary=Y) boundary=X", "X"),
        ("; boundary==X", "="),
        ("; boundary=)", ")"),
        ("; boundary=\u{1}X", "\u{1}"),
        ("; boundary=X\u{7f}Y", "X"),
        ("; boundary=X\u{b}Y", "X"),
        ("; boundary=\u{e4}X", "\u{e4}X"),
        ("@x; boundary=X", "X"),
    ] {
        let value = format!(" multipart/x{parameters}");
        let found: Vec<_> = content_type::boundaries(value.as_bytes()).collect();
        assert_eq!(found, [boundary.as_bytes()], "{value:?}");
    }
    for parameters in [
        " boundary=X",
        ", boundary=X",
        "; x=y boundary=X",
        "; \"boundary\"=X",
        "; boundary*=X",
        "; bou\\ndary=X",
        "; =boundary=X",
        "; boundary boundary=X",
        "; boundary=",
        "; boundary=;",
        "; boundary",
        "; <boundary=X>",
        "; \u{b}boundary=X",
        "; (boundary=X",
        "; x=\"y; boundary=X",
    ] {
        let value = format!(" multipart/x{parameters}");
        assert_eq!(
            content_type::boundaries(value.as_bytes()).count(),
            0,
            "{value:?}"
        );
    }
    for value in [
        "multipart",
        " multipart/",
        "multipart x/y",
        "multipart\u{1}x",
        "MULTIPART@x",
    ] {
        let text = message(&format!("{value}; boundary=X"), "--X|A: 1");
        assert_eq!(later_headers(&text), "HA", "{value}");
    }
    for value in [
        " \"multipart\"/x",
        ";multipart",
        "multipart.x/y",
        " x multipart/x",
        "/x",
    ] {
        let text = message(&format!("{value}; boundary=X"), "--X|A: 1");
        assert_eq!(later_headers(&text), "BA", "{value}");
    }
}

#[test]
fn what_is_waited_for_is_limited() {
    let limits = |nesting, boundary_len| MessageLimits {
        nesting,
        boundary_len,
        ..MessageLimits::default()
    };
    let mut nested = String::new();
    for depth in 0..9 {
        nested += &format!("Content-Type: multipart/x; boundary=X{depth}\n\n--X{depth}\n");
    }
    for nesting in [1, 2, 5] {
        let found = pieces_with(nested.as_bytes(), true, limits(nesting, 2048));
        let headers = found.iter().filter(|piece| piece.starts_with('H'));
        assert_eq!(headers.count(), nesting + 3);
    }
    let messages = "Content-Type: message/rfc822\n\n".repeat(500);
    let found = pieces_with(messages.as_bytes(), true, limits(1, 1));
    assert!(found.iter().step_by(2).all(|piece| piece.starts_with('H')));

    let text = message(
        " multipart/x; boundary=123456",
        "--1234|A: 1|--123|B: 2|--123456--|C: 3",
    );
    let found = pieces_with(text.as_slice(), true, limits(100, 4));
    assert_eq!(
        found[3..],
        ["HA: 1", "B--123", "BB: 2", "B--123456--", "HC: 3"]
    );
}

#[test]
fn pieces_do_not_depend_on_how_the_message_arrives() {
    let text = message(
        " multipart/mixed;\n boundary=\"X Y\"",
        "pre|--X Y|A : 1| b||t\0u|--X Y|Content-Type: message/rfc822||B: 2|--X Y--|e",
    );
    for len in 1..9 {
        let reader = Dribble::new(&text, &[len, 1]);
        assert_eq!(
            pieces_with(reader, true, MessageLimits::default()),
            pieces(&text)
        );
    }
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let text = BreaksAtEnd(b"A: b\n");
    let mut pieces = MessagePieces::new("m", text, true, MessageLimits::default());
    let error = pieces.next_piece().unwrap_err();
    assert_eq!(error.to_string(), "read m");

    let endless = io::repeat(b'x');
    let mut pieces = MessagePieces::new("m", endless, true, MessageLimits::default());
    let error = pieces.next_piece().unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::TooLong { what: "line", .. }
    ));
}
