use super::*;
use proptest::prelude::*;

fn normalised(text: &str) -> String {
    let bytes = Normalised::new(text, 0).map(|(byte, _)| byte).collect();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn prefixes_of_logs_are_no_part_of_a_message() {
    for text in [
        "boom: it is",
        "Error: boom: it is",
        "  Uncaught (in promise) Error: boom: it is",
        "(node:123) UnhandledPromiseRejectionWarning: Error: boom: it is",
        "\u{1b}[31merror\u{1b}[39m: boom: it is",
        "web-1  | Error: boom: it is",
        "0|index  | TimeoutError: boom: it is",
        "[ERROR] WebDriverException: Message: boom: it is",
        "2024-03-01T10:00:00.123Z [error] boom: it is",
        "2024-03-01 10:00:00,123 ERROR boom: it is",
        "Nov 23 05:50:01 host wa[123]: Error: boom: it is",
        "OpenQA.Selenium.WebDriverException : boom: it is",
        "Selenium::WebDriver::Error::WebDriverError: boom: it is",
        "Error: page.evaluate: boom: it is",
        "Caused by: org.openqa.selenium.WebDriverException: boom: it is",
        "{ Error: boom: it is",
        "webdriver returned error: boom: it is",
        "❌ Error: boom: it is",
    ] {
        assert_eq!(&text[message_start(text)..], "boom: it is", "{text}");
    }
}

#[test]
fn white_space_colours_and_names_of_containers_are_one_blank() {
    for gap in [
        " ",
        "\n  ",
        "\\n",
        "\u{1b}[0m ",
        " \u{1b}[38;5;9m\u{1b}[1m",
        "\nweb-1  | ",
        "\n0|index  |   ",
        "\\n\t\u{1b}[0m \nweb-1  | \u{1b}[31m",
    ] {
        assert_eq!(
            normalised(&format!("most{gap}likely")),
            "most likely",
            "{gap:?}"
        );
    }
    for text in [
        "mostlikely",
        "most-likely",
        "most | likely",
        "most more | likely",
    ] {
        assert_eq!(normalised(text), text);
    }
    let ends: Vec<_> = Normalised::new("a \n b", 1).map(|(_, end)| end).collect();
    assert_eq!(ends, [4, 5]);
}

#[test]
fn a_message_ends_with_a_sentence() {
    for rest in [
        "",
        ".",
        "!",
        "...",
        ".\n",
        "\n at x",
        "\"}",
        " at f (a.js:1:2)",
        " {",
        ". Call log: x",
        "  (Session info",
    ] {
        assert!(is_message_end(rest), "{rest:?}");
    }
    for rest in [" the deal", ", most", "ness", " at the exchange", "?"] {
        assert!(!is_message_end(rest), "{rest:?}");
    }
}

proptest! {
    #[test]
    fn any_gap_is_one_blank(gap in "([ \n\t]|\u{1b}\\[[0-9;]{0,5}m|\nweb-1  \\| ){1,4}") {
        prop_assert_eq!(normalised(&format!("most{gap}likely")), "most likely");
    }

    #[test]
    fn any_text_has_a_message(text in any::<String>(), prefix in "[\\[( a-zE:|\u{1b}0-9]{0,40}") {
        let text = prefix + &text;
        let at = message_start(&text);
        prop_assert!(text.is_char_boundary(at));
        prop_assert_eq!(message_start(&text[at..]).min(1), 0);
    }
}
