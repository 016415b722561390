//! Which text is kept of an output, and by which recording.

use super::*;

#[test]
fn the_address_is_read_only_when_it_is_complete() {
    const MARK: &str = "started successfully on port ";
    for (text, address) in [
        (
            "ChromeDriver was started successfully on port 32929.\n",
            Some("32929."),
        ),
        ("ChromeDriver was started successfully on port 329", None),
        ("Starting ChromeDriver 156.0.8078.79 on port 0\n", None),
    ] {
        assert_eq!(announced(text, MARK), address, "{text}");
    }
}

#[tokio::test]
async fn a_flood_is_bounded_and_does_not_hold_up_the_writer() {
    let (reader, mut writer) = io::pipe().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let (output, port) =
        Output::drain(reader, "listens at ", Some(file.reopen().unwrap())).unwrap();
    let recording = output.record();
    for _ in 0..1000 {
        writer.write_all("é".repeat(500).as_bytes()).unwrap();
    }
    writer.write_all(b"\nlast words\n").unwrap();
    drop(writer);
    assert!(port.await.is_err());
    // The line before has lost its start.
    assert_eq!(recording.text(), "last words");
    let copied = std::fs::read(file.path()).unwrap();
    assert_eq!(copied.len(), 1_000_000 + 12);
}

#[test]
fn the_cut_of_a_long_output_leaves_no_half_line_and_no_rest_of_a_message() {
    for rest in (0..140).step_by(3) {
        let (reader, mut writer) = io::pipe().unwrap();
        let (output, _port) = Output::drain(reader, "listens at ", None).unwrap();
        let recording = output.record();
        let mut print = |text: &str| {
            writer.write_all(text.as_bytes()).unwrap();
            output.read();
        };
        print(&format!("{}\n", "z".repeat(600)));
        print("[1:1:1128/145126.3:INFO:CONSOLE:1] \"a page's secret\nmore of a page\n\n\n\"\n");
        // The cut is in the line of the page, or in one of the others.
        let long = "y".repeat(TAIL - 30 - rest);
        print(&format!(
            "[1:1:1128/145126.4:ERROR:x.cc:9] token=hunter2\n{long}"
        ));
        print("\nlast words\n");
        let text = recording.text();
        assert!(text.ends_with("last words"), "{text}");
        for part in ["page", "z"] {
            assert!(!text.contains(part), "{rest}: {text}");
        }
        assert!(
            text.contains("hunter2") == text.contains("token=hunter2"),
            "{rest}"
        );
    }
}

#[test]
fn a_recording_has_what_was_printed_for_it_alone_without_messages_of_pages() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (output, _port) = Output::drain(reader, "listens at ", None).unwrap();
    writer.write_all(b"before\n").unwrap();
    output.read();
    let first = output.record();
    let mut print = |text: &str| writer.write_all(text.as_bytes()).unwrap();
    print("[1:1:1128/145126.3:INFO:CONSOLE:1] \"a page's secret\n[and] more of it\"\n");
    print(
        "[1795877232.171][INFO]: [5ae1] RESPONSE ExecuteScript {\n  \"a\": 1\n}\nfrom a program\n",
    );
    print("[1:1:1128/145126.4:ERROR:x.cc:9] Missing X server or $DISPLAY\nnext line\n");
    assert_eq!(
        first.text(),
        "from a program\n[1:1:1128/145126.4:ERROR:x.cc:9] Missing X server or $DISPLAY\nnext line"
    );
    assert!(!first.has_overlapped());
    let second = output.record();
    print("of either\n");
    for recording in [&first, &second] {
        assert!(recording.has_overlapped());
        assert!(!recording.text().contains("of either"));
    }
    drop(first);
    print("of the second\n");
    assert_eq!(second.text(), "of the second");
    second.end();
    assert_eq!(second.text(), "");
    let third = output.record();
    print("of the third\n");
    assert_eq!(
        (third.text(), second.text()),
        ("of the third".into(), String::new())
    );
    assert!(!third.has_overlapped());
    drop((second, third));
    assert!(lock(&output.0.state).kept.is_empty());
    print("nobody records\n");
    assert_eq!(output.record().text(), "");
}
