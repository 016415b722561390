use super::*;
use proptest::prelude::*;

#[test]
fn what_logs_put_before_a_message_is_no_part_of_it() {
    for dressed in [
        "boom: it is",
        "Error: boom: it is",
        "  Uncaught (in promise) Error: boom: it is",
        "(node:123) UnhandledPromiseRejectionWarning: Error: boom: it is",
        "\u{1b}[31merror\u{1b}[39m: boom: it is",
        "web-1  | Error: boom: it is",
        "0|index  | TimeoutError: boom: it is",
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
        assert_eq!(&dressed[undressed(dressed)..], "boom: it is", "{dressed}");
    }
}

#[test]
fn white_space_colours_and_names_of_containers_are_gaps() {
    for text in [
        "most likely because",
        "most likely\n    because",
        "most likely\\nbecause",
        "most\u{1b}[0m likely \u{1b}[31mbecause",
        "most likely\nweb-1  | because",
    ] {
        let found = match_forward(text.as_bytes(), 0, b"most likely because");
        assert_eq!(found, Some(text.len()), "{text}");
    }
    for text in [
        "mostlikely because",
        "most likely",
        "most like",
        "most likely-because",
    ] {
        assert_eq!(
            match_forward(text.as_bytes(), 0, b"most likely because"),
            None,
            "{text}"
        );
    }
    let text = "a most\n  likely b";
    let end = text.find('l').unwrap();
    assert_eq!(match_backward(text.as_bytes(), end, b"most ", 0), Some(2));
    assert_eq!(match_backward(text.as_bytes(), end, b"most ", 3), None);
}

#[test]
fn a_message_ends_where_a_sentence_may() {
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
        assert!(is_end(rest.as_bytes()), "{rest:?}");
    }
    for rest in [" the deal", ", most", "ness", " at the exchange", "?"] {
        assert!(!is_end(rest.as_bytes()), "{rest:?}");
    }
}

proptest! {
    #[test]
    fn any_text_can_be_undressed(text in any::<String>(), lead in "[\\[( a-zE:|\u{1b}0-9]{0,40}") {
        let text = lead + &text;
        let at = undressed(&text);
        prop_assert!(text.is_char_boundary(at));
        prop_assert_eq!(undressed(&text[at..]).min(1), 0);
    }
}
