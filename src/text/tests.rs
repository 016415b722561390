//! Masks and cuts.

use super::clean::MIN_RUN;
use super::*;
use std::borrow::Cow;

use proptest::prelude::*;

#[test]
fn numbers_and_jids_are_masked_wherever_they_stand() {
    for (raw, masked) in [
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
        assert_eq!(clean(raw, MAX_TEXT).len(), masked.len(), "{raw}");
        assert_eq!(clean(raw, MAX_TEXT), masked, "{raw}");
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
fn secrets_are_masked_wherever_they_stand() {
    for (raw, masked) in [
        (
            "at https://me:hunter2@grid.example:4444/wd",
            "at https://***@grid.example:4444/wd",
        ),
        (
            "postgres://app:p@ss@db/x refused",
            "postgres://***@db/x refused",
        ),
        ("git+ssh://ghp_abc@example.com", "git+ssh://***@example.com"),
        (
            "GET /hub?key=hunter2&port=9515",
            "GET /hub?key=***&port=9515",
        ),
        (
            "?X-Amz-Signature=0a1b2c&sig=9f",
            "?X-Amz-Signature=***&sig=**",
        ),
        (
            r#"{"token":"hun\"ter2","port":5432}"#,
            r#"{"token":"***","port":5432}"#,
        ),
        (
            r#"body: "{\"apiKey\":\"hunter2\",\"n\":1}""#,
            r#"body: "{\"apiKey\":\"***\",\"n\":1}""#,
        ),
        (
            r#"Config { password: Some("hunter2"), port: 5432 }"#,
            r#"Config { password: Some("***"), port: 5432 }"#,
        ),
        ("{'client_secret': b'hunter2'}", "{'client_secret': b'***'}"),
        ("password: hunter2, host: db", "password: ***, host: db"),
        ("DB_PASSWORD=hunter2", "DB_PASSWORD=***"),
        ("hubKey = hunter2.", "hubKey = ***."),
        ("user[password]=hunter2&a=1", "user[password]=***&a=1"),
        ("'password' => 'hunter2'", "'password' => '***'"),
        ("token: 8f14e45fceea167a", "token: ***"),
        (
            "Authorization: Bearer eyJhbGciOiJIUzI1.e30.abc",
            "Authorization: Bearer ***",
        ),
        (
            "authorization: Basic dXNlcjpwYXNz",
            "authorization: Basic ***",
        ),
        ("-H 'X-Api-Key: hunter2'", "-H 'X-Api-Key: ***'"),
        ("sent BEARER xyz", "sent BEARER ***"),
        (
            "sent Bearer   hunter2, port 5432",
            "sent Bearer   ***, port 5432",
        ),
        (
            "Authorization: Bearer  hunter2",
            "Authorization: Bearer  ***",
        ),
        (
            r#"authorization:  Digest username="me", realm="a@b, c", qop=auth, nc=00000001,cnonce="0a", response="6629\"fae4" from 5432"#,
            "authorization:  Digest *** from 5432",
        ),
        (
            r#"{"headers":{"Authorization":"Digest username=\"me\", response=\"hunter2\"","port":5432}}"#,
            r#"{"headers":{"Authorization":"***","port":5432}}"#,
        ),
        (
            r#""Authorization: Digest username=\"me\", response=\"hunter2\"", 5432"#,
            r#""Authorization: Digest ***", 5432"#,
        ),
        (
            "Authorization: Basic dXNlcjpwYXNz, port: 5432",
            "Authorization: Basic ***, port: 5432",
        ),
        (
            "postgres://app:hun/ter2@db:5432/x",
            "postgres://***@db:5432/x",
        ),
        (
            "postgres://app:hun?ter2@db:5432/x",
            "postgres://***@db:5432/x",
        ),
        ("redis://:hun#ter2@db:5432/x", "redis://***@db:5432/x"),
        (r"amqp://app:hun\ter2@db:5432/x", "amqp://***@db:5432/x"),
        (
            "mysql://app:/#?@db:3306/x failed",
            "mysql://***@db:3306/x failed",
        ),
        (
            "?url=https%3A%2F%2Fme%3Ahun%2Fter2%40grid.example%3A4444%2Fwd",
            "?url=https%3A%2F%2F***%40grid.example%3A4444%2Fwd",
        ),
        (r"password=ab\cd port=5432", "password=*** port=5432"),
        (r"password=ab\\cd\n port=5432", "password=*** port=5432"),
        (
            r#"password="ab\cd" port=5432"#,
            r#"password="***" port=5432"#,
        ),
        ("password=ab<cd port=5432", "password=*** port=5432"),
        ("password: ab>c<d, port: 5432", "password: ***, port: 5432"),
        (
            "<p>token=hunter2</p><p>port 5432</p>",
            "<p>token=***</p><p>port 5432</p>",
        ),
        (
            r#"{\"url\":\"/hub?key=hun<ter2\",\"port\":5432}"#,
            r#"{\"url\":\"/hub?key=***\",\"port\":5432}"#,
        ),
        ("Cookie: sid=hunter2; theme=x next", "Cookie: *** next"),
        ("token=628110000041", "token=***"),
        (
            "/login?next=%2Fhub%3Ftoken%3Dhunter2%26port%3D9515&n=1",
            "/login?next=%2Fhub%3Ftoken%3D***%26port%3D9515&n=1",
        ),
        (
            "?url=https%3A%2F%2Fme%3Ahunter2%40grid.example%3A4444%2Fwd",
            "?url=https%3A%2F%2F***%40grid.example%3A4444%2Fwd",
        ),
        ("?u=%253Fapi_key%253dhunter2", "?u=%253Fapi_key%253d***"),
        (
            "?q=%7B%22token%22%3A%22hunter2%22%2C%22port%22%3A5432%7D",
            "?q=%7B%22token%22%3A%22***%22%2C%22port%22%3A5432%7D",
        ),
        (
            "user%5Bpassword%5D=hun%26ter2&a=1",
            "user%5Bpassword%5D=***&a=1",
        ),
        ("access%5Ftoken=hunter2&a=1", "access%5Ftoken=***&a=1"),
        (
            r#"{"keys":["hunter2","b]c"],"port":5432}"#,
            r#"{"keys":[***],"port":5432}"#,
        ),
        (
            r#"{"apiKeys": [["hunter2"], {"b": "c"}], "n": 1}"#,
            r#"{"apiKeys": [***], "n": 1}"#,
        ),
        (
            r#"{"credentials":{"user":"me","id":"hunter2"},"n":1}"#,
            r#"{"credentials":{***},"n":1}"#,
        ),
        ("tokens=[hunter2, b] n=1", "tokens=[***] n=1"),
        (
            r#""{\"keys\":[\"hunter2\"],\"n\":1}""#,
            r#""{\"keys\":[***],\"n\":1}""#,
        ),
        (
            r#""{\"body\":\"{\\\"token\\\":\\\"hunter2\\\",\\\"port\\\":5432}\"}""#,
            r#""{\"body\":\"{\\\"token\\\":\\\"***\\\",\\\"port\\\":5432}\"}""#,
        ),
        (
            r#"{\u0022password\u0022:\u0022hunter2\u0022}"#,
            r#"{\u0022password\u0022:\u0022***\u0022}"#,
        ),
    ] {
        assert_eq!(clean(raw, MAX_TEXT), masked, "{raw}");
        assert_eq!(clean(masked, MAX_TEXT), masked, "cleaned twice");
    }
}

#[test]
fn texts_without_secrets_are_unchanged() {
    for text in [
        "Access denied for user 'root'@'localhost' (using password: YES)",
        "password authentication failed for user \"app\"",
        "1062 (23000): Duplicate entry 'a' for key 'accounts.PRIMARY'",
        "ERROR 1213 (40001) at line 12: Deadlock found; try restarting",
        "SQLSTATE[23000]: Integrity constraint violation: 1062",
        "error returned from database: 23505 duplicate key value violates unique constraint",
        "since 2024, in 2026 at the latest, line 345, column 12, port 5432",
        "Unexpected token: } in JSON; a bearer token is missing",
        "WWW-Authenticate: Bearer realm=\"grid\"",
        "http://127.0.0.1:9515/session answered 404; https://web.whatsapp.com/@me",
        "monkey=1 vault::secret::Token::new() std::sync: ok",
        "mail to admin@example.com: see https://example.com/a?b=c",
        "http://127.0.0.1:9515/@me#x@y http://[::1]:9515/a@b answered 404",
        r"WWW-Authenticate: Digest realm='grid', qop=auth; 'C:\port:5432' <b>code 23505</b>",
        "?next=%2Fhub%3Fport%3D9515%26n%3D1 answered 404 at 100% of 5432",
        r#"{\"port\":5432,\"code\":\"23505\",\"errno\":1062}"#,
        "unique keys: [account_id, workspace_id]; {\"monkeys\":[1,2],\"ports\":[5432,9515]}",
    ] {
        assert_eq!(clean(text, MAX_TEXT), text);
    }
    // Part of a number, not a code of MySQL's.
    assert_eq!(clean("+62 1062 (23000)", MAX_TEXT), "+62 **** (***00)");
}

#[test]
fn a_secret_at_the_cut_is_masked() {
    for lead in 0..200 {
        for secret in [
            "https://me:hunter2@",
            "?key=hunter2&",
            "Bearer  hunter2 ",
            "https://me:hun/ter2@",
            "Authorization: Digest a=\"b\", c=\"hunter2\" ",
            "password: \"hunter2\" ",
        ] {
            for text in [
                "x".repeat(lead) + " " + &secret.repeat(400),
                "x".repeat(lead)
                    + " "
                    + secret.trim_end_matches(['@', '&', ' ', '"'])
                    + &"2".repeat(9000),
            ] {
                for max in [16, 64, MAX_TEXT] {
                    let cleaned = clean(&text, max);
                    assert!(cleaned.len() <= max && cleaned.ends_with('…'), "{cleaned}");
                    assert!(!cleaned.contains("hun"), "{cleaned}");
                }
            }
        }
    }
    // The text before a long secret is kept.
    let text = format!("the grid refused: token={}", "x".repeat(50_000));
    assert_eq!(clean(&text, MAX_TEXT), "the grid refused: token=***…");
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

    #[test]
    fn no_secret_survives(
        before in "[a-z0-9 ,.:;=&?/\\[{(\"']{0,60}",
        form in 0_usize..14,
        secret in "[A-Za-z0-9+/_.~!<?#-]{4,40}[A-Z][0-9]",
        after in "[a-z0-9 ,.:;=&?/\\]})\"']{0,60}",
    ) {
        let form = [
            "https://me:§@host/", "?api_key=§&", "&access_token=§ ", "\"password\":\"§\"", "\\\"token\\\":\\\"§\\\"",
            "Authorization: Bearer  § ", "Bearer  § ", "password: § ", "secret: Some(\"§\")", "Set-Cookie: a=§; b=1 ",
            "%3Ftoken%3D§%26", "%22password%22%3A%22§%22", "\"keys\": [\"a\",\"§\"]", "\\\\\\\"token\\\\\\\":\\\\\\\"§\\\\\\\"",
        ][form];
        // Digits before a slash are a port.
        let secret = if form.starts_with("https") { format!("x{}", secret.replace(['.', '<'], "x")) } else { secret };
        let text = format!("{before} {}{after}", form.replace('§', &secret));
        let cleaned = clean(&text, MAX_TEXT);
        prop_assert!(!cleaned.contains(&secret), "{text}: {cleaned}");
        // The text around it may hold words that look like names; twice is like once.
        prop_assert_eq!(clean(&cleaned, MAX_TEXT), cleaned);
    }

    #[test]
    fn a_text_without_marks_of_secrets_is_unchanged(text in "([a-z]{1,9}|[0-9]{1,5}|[.,;!?()-]| [:=] [0-9]{1,3} ){0,40}") {
        // Words that name secrets, and numbers in groups, are other tests'.
        let is_named = |text: &str| ["key", "token", "sig", "auth", "pass", "pwd", "jwt", "cookie", "secret", "credential", "bearer"]
            .iter().any(|name| text.contains(name));
        prop_assume!(!is_named(&text));
        let (hidden, _) = super::secrets::hide(&text, false);
        prop_assert!(matches!(hidden, Cow::Borrowed(_)), "{text}: {hidden}");
    }

    #[test]
    fn hiding_never_lengthens(text in "([a-z:=/@ \"'\\\\]|key=|Bearer |://|password: ){0,80}", is_cut in any::<bool>()) {
        prop_assert!(super::secrets::hide(&text, is_cut).0.len() <= text.len());
    }
}
