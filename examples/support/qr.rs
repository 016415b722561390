//! Shows the QR code of a page in the terminal.

use std::convert::Infallible;
use std::time::Duration;

use qrcode::render::unicode::Dense1x2;
use whatsapp_phone::link::QrCode;

use crate::page::OpenPage;

/// Prints the page's QR code on standard error, and again whenever it is renewed.
pub(crate) async fn show(page: &OpenPage) -> Infallible {
    let mut last: Option<QrCode> = None;
    loop {
        // A look that fails is the extraction's to report.
        if let Ok(Some(code)) = page.qr().await {
            let is_known = |last: &QrCode| last.is_same_code(&code);
            if !last.as_ref().is_some_and(is_known) {
                eprintln!("{}", render(&code));
                last = Some(code);
            }
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn render(code: &QrCode) -> String {
    match code.reveal() {
        _ if code.is_expired() => "the QR code has expired; click it in the browser".to_owned(),
        Some(url) if code.is_picture() => format!("open this picture of the QR code: {url}"),
        Some(text) => match qrcode::QrCode::new(text) {
            Ok(code) => code.render::<Dense1x2>().build(),
            Err(error) => format!("the text cannot be drawn as a QR code: {error}"),
        },
        None => "the page shows a QR code that cannot be read".to_owned(),
    }
}
