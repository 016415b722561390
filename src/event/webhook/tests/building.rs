//! URLs, options and variables.

use super::*;

fn builder(url: &str) -> WebhookSinkBuilder {
    WebhookSink::builder(url, SECRET.parse().unwrap())
}

fn refused(builder: WebhookSinkBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("hunter"),
        "{error:?}"
    );
    error.to_string()
}

#[test]
fn an_invalid_url_is_refused() {
    for url in [
        "",
        "receiver.example",
        "/hook",
        "https://",
        "ftp://hunter2@receiver.example",
        "https://[hunter2/",
    ] {
        let error = refused(builder(url).allow_http().allow_private_addresses());
        assert_eq!(
            error, "the webhook URL must be like https://HOST/PATH",
            "{url}"
        );
    }
}

#[test]
fn http_needs_an_option() {
    let url = "http://user:hunter2@receiver.example:8080/hunter3?key=hunter4";
    let error = refused(builder(url));
    assert!(
        error.starts_with("the webhook URL http://receiver.example:8080 is not https"),
        "{error}"
    );
    assert!(builder(url).allow_http().build().is_ok());
}

#[test]
fn an_address_that_is_not_public_needs_an_option_in_whatever_form_it_is_written() {
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[fd00::1]",
        "[fe80::1]",
        "0",
    ] {
        let url = format!("https://user:hunter2@{host}/hunter3");
        let error = refused(builder(&url));
        assert!(
            error.contains("allow it by `allow_private_addresses`"),
            "{host}: {error}"
        );
        assert!(
            builder(&url).allow_private_addresses().build().is_ok(),
            "{host}"
        );
    }
    assert!(builder("https://1.1.1.1/").build().is_ok());
}

#[test]
fn a_backoff_without_an_end_is_refused() {
    let endless = builder("https://receiver.example/").backoff(Backoff::default());
    assert!(refused(endless).contains("a number of attempts or a deadline"));
}

#[test]
fn url_and_secrets_are_read_from_variables() {
    const URL: &str = "WHATSAPP_PHONE_WEBHOOK_URL";
    const SECRETS: &str = "WHATSAPP_PHONE_WEBHOOK_SECRET";
    let with = |url: &'static str, secrets: &'static str| {
        WebhookSink::from_vars(move |name| match name {
            URL => Some(url),
            SECRETS => Some(secrets),
            _ => panic!("{name}"),
        })
    };
    let both = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQt";
    let sink = with(" https://receiver.example/hook ", both)
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(
        (&*sink.at, format!("{:?}", sink.keys)),
        (
            "https://receiver.example",
            "Some(SigningKeys(2))".to_owned()
        )
    );
    for (url, secrets, says) in [
        (" ", both, "WHATSAPP_PHONE_WEBHOOK_URL is not set"),
        (
            "https://receiver.example",
            "",
            "WHATSAPP_PHONE_WEBHOOK_SECRET is not set",
        ),
        (
            "https://receiver.example",
            "hunter2",
            "a webhook secret must start with `whsec_`",
        ),
    ] {
        let error = with(url, secrets).unwrap_err();
        assert_eq!(error.to_string(), says);
        assert!(!format!("{error:?}").contains("hunter"));
    }
    let unset = WebhookSink::from_vars(|_| None::<String>).unwrap_err();
    assert_eq!(unset.to_string(), "WHATSAPP_PHONE_WEBHOOK_URL is not set");
}
