//! Masks, cuts, causes.

use super::clean::MIN_RUN;
use super::*;
use proptest::prelude::*;

#[test]
fn numbers_and_jids_are_masked_wherever_they_stand() {
    for (raw, clean) in [
        ("to 628110000041, now", "to 62********41, now"),
        ("628110000041:12@c.us", "62********41:**@c.us"),
        ("short 12345@c.us", "short 1***5@c.us"),
        ("12036-777@g.us", "12***-*77@g.us"),
        ("short 12345@C.US", "short 1***5@C.US"),
        ("to=12345%40c.us", "to=1***5%40c.us"),
        ("12345%3A7%40c.us", "1***5%3A*%40c.us"),
        ("+62 811-0000-041", "+62 ***-****-*41"),
        ("+62 (811) 000 0041", "+62 (***) *** **41"),
        ("+62.811.0000/041", "+62.***.****/*41"),
        ("call 0811-0000-041.", "call 08**-****-*41."),
        (
            "6\u{fe0f}\u{20e3}28110\u{34f}000\u{fe0f}041",
            "62********41",
        ),
        ("2010-11-12-3456", "20**-**-**-**56"),
        ("port 9515 pid 123456", "port 9515 pid 123456"),
        ("62811\u{200b}0000041", "62********41"),
        ("a\u{0}b\nc", "ab c"),
        ("\u{1b}[31mError\u{1b}[39m: no", "Error: no"),
        ("\u{1b}[38;5;208mamber\u{9b}0m", "amber"),
        ("6281\u{1b}[1m1000\u{1b}[0m0041", "62********41"),
        ("\u{1b}[628110000041", "[62********41"),
        ("\u{1b} [31m", " [31m"),
        ("٦٢٨١١٠٠٠٠٠٤١", "٦٢********٤١"),
    ] {
        assert_eq!(
            ProtocolFailure::new(Site::Unknown, raw).message().len(),
            clean.len(),
            "{raw}"
        );
        assert_eq!(
            ProtocolFailure::new(Site::Unknown, raw).message(),
            clean,
            "{raw}"
        );
    }
}

#[test]
fn versions_addresses_and_times_survive() {
    for text in [
        "chrome=156.0.8078.79 (Linux 6.1.0-42 x86_64)",
        "127.0.0.1:9515 answered 404 after 1500 ms",
        "pid 12345 127.0.0.1:9515",
        "2026-01-31 04:28:22.123 +00:00",
        "at 2026-01-31T04:28:22Z, line 12, column 345",
        "from 2026-01-31 to 2026-02-01",
    ] {
        assert_eq!(clean(text, MAX_TEXT), text);
    }
}

#[test]
fn a_number_at_the_cut_is_masked_and_the_cut_is_marked() {
    for lead in 0..140 {
        for (number, times) in [
            ("６", 4000),
            ("12345@c.us ", 400),
            ("+62 811-0000-041, ", 400),
        ] {
            let text = "x".repeat(lead) + &number.repeat(times);
            for max in [16, 64, MAX_TEXT] {
                let cleaned = clean(&text, max);
                assert!(cleaned.ends_with('…') && cleaned.len() <= max, "{cleaned}");
                let shown = cleaned.split(['@', ',']);
                let digits = |part: &str| part.chars().filter(|c| c.is_numeric()).count();
                assert!(shown.map(digits).all(|shown| shown <= 4), "{cleaned}");
            }
        }
    }
}

#[test]
fn a_long_text_is_cut_and_says_so() {
    let failure = ProtocolFailure::new(Site::Script, "x".repeat(50 << 20));
    assert_eq!(failure.message().len(), MAX_TEXT);
    assert!(failure.message().ends_with('…'));
}

#[test]
fn causes_are_cleaned_too_and_display_prints_the_message_alone() {
    let io = std::io::Error::other("no 628110000041");
    let failure = ProtocolFailure::new(Site::Sidecar, "request failed")
        .caused_by(ProtocolFailure::from_error(Site::Sidecar, &io));
    assert_eq!(failure.to_string(), "request failed");
    assert_eq!(failure.source().unwrap().to_string(), "no 62********41");
    assert!(!format!("{failure:?}").contains("628110000041"));
}

proptest! {
    #[test]
    fn no_seven_digits_in_a_row_survive(text in ".{0,80}[0-9]{7,30}.{0,80}") {
        let cleaned = clean(&text, MAX_TEXT);
        let mut run = 0;
        for c in cleaned.chars() {
            run = if c.is_numeric() { run + 1 } else { 0 };
            prop_assert!(run < MIN_RUN, "{cleaned}");
        }
    }

    #[test]
    fn cleaning_bounds_any_text(text in any::<String>(), max in 4_usize..64) {
        prop_assert!(clean(&text, max).len() <= max);
    }
}
