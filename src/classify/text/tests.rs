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
        let text = format!("as most{gap}likely");
        let end = text.len() - "likely".len();
        let found = match_backward(text.as_bytes(), end, b"most ", 0);
        assert_eq!(found, Some(3), "{gap:?}");
        let found = match_forward(text.as_bytes(), 3, b"most likely");
        assert_eq!(found, Some(text.len()), "{gap:?}");
    }
    for text in [
        "most | ",
        "most\nmore words | ",
        "most",
        "mostm",
        "\u{1b}most",
    ] {
        let found = match_backward(text.as_bytes(), text.len(), b"most ", 0);
        assert_eq!(found, None, "{text:?}");
    }
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

#[test]
fn a_place_before_the_line_begins_nothing() {
    assert!(!Line::at(5).is_begun_at("0123456789", 2));
}

proptest! {
    #[test]
    fn gaps_are_the_same_from_both_sides(gap in "([ \n\t]|\u{1b}\\[[0-9;]{0,5}m|\nweb-1  \\| ){1,4}") {
        let text = format!("most{gap}likely");
        let end = text.len() - "likely".len();
        let forward = match_forward(text.as_bytes(), 0, b"most likely");
        let backward = match_backward(text.as_bytes(), end, b"most ", 0);
        prop_assert_eq!((forward, backward), (Some(text.len()), Some(0)));
    }

    #[test]
    fn any_text_can_be_undressed(text in any::<String>(), lead in "[\\[( a-zE:|\u{1b}0-9]{0,40}") {
        let text = lead + &text;
        let at = undressed(&text);
        prop_assert!(text.is_char_boundary(at));
        prop_assert_eq!(undressed(&text[at..]).min(1), 0);
    }
}
