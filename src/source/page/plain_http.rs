//! [`get`]: one HTTP request on an open connection, without an HTTP client: Chrome's debugging port needs none.

use http::StatusCode;
use httparse::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http::{ANSWER_TIMEOUT, GetFailure, LATE, MAX_ANSWER_LEN, Response};
use crate::failure::{ProtocolFailure, Site};

/// Most headers of an answer.
const MAX_HEADERS: usize = 64;

/// Asks for this path. `host` is the `Host` header.
///
/// # Errors
///
/// A text such as `closed the connection`, and the cause.
pub(crate) async fn get(
    mut stream: TcpStream,
    host: &str,
    path: &str,
) -> Result<Response, GetFailure> {
    let ask = async {
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(|error| closed(&error))?;
        read(&mut stream).await
    };
    let answer = timeout(ANSWER_TIMEOUT, ask).await;
    answer.unwrap_or(Err((LATE, None)))
}

async fn read(stream: &mut TcpStream) -> Result<Response, GetFailure> {
    const BROKE_OFF: GetFailure = ("broke off, or its answer is too long", None);
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(head) = Head::read(&bytes)? {
            break head;
        }
        if bytes.len() > MAX_ANSWER_LEN || !read_more(stream, &mut bytes).await? {
            return Err(("closed the connection", None));
        }
    };
    let mut body = bytes.split_off(head.len);
    while !head.is_whole(&body) {
        if body.len() > MAX_ANSWER_LEN {
            return Err(BROKE_OFF);
        }
        if !read_more(stream, &mut body).await? {
            // Without a length, the end of the connection is the end of the body.
            match head.body {
                BodyEnd::Connection => break,
                _ => return Err(BROKE_OFF),
            }
        }
    }
    match head.body {
        BodyEnd::Length(length) => body.truncate(length),
        BodyEnd::Chunk => body = join_chunks(&body).ok_or(BROKE_OFF)?,
        BodyEnd::Connection => {}
    }
    Ok(Response {
        status: head.status,
        body,
    })
}

/// Reads a part. Returns whether there was one.
async fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<bool, GetFailure> {
    let read = stream.read_buf(bytes).await;
    read.map(|len| len > 0).map_err(|error| closed(&error))
}

/// The mark of the end of a body.
enum BodyEnd {
    Length(usize),
    /// An empty chunk.
    Chunk,
    Connection,
}

struct Head {
    status: StatusCode,
    len: usize,
    body: BodyEnd,
}

impl Head {
    /// Reads the head of an answer; `None`: not all of it has come.
    fn read(bytes: &[u8]) -> Result<Option<Self>, GetFailure> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(bytes).map_err(|error| closed(&error))?;
        let Status::Complete(len) = parsed else {
            return Ok(None);
        };
        let status = StatusCode::from_u16(response.code.unwrap_or_default());
        let status = status.map_err(|error| closed(&error))?;
        let header = |name: &str| {
            let mut headers = response.headers.iter();
            let header = headers.find(|header| header.name.eq_ignore_ascii_case(name));
            header.and_then(|header| std::str::from_utf8(header.value).ok())
        };
        let length = header("content-length").and_then(|length| length.trim().parse().ok());
        let body = match length {
            Some(length) => BodyEnd::Length(length),
            None if header("transfer-encoding").is_some() => BodyEnd::Chunk,
            None => BodyEnd::Connection,
        };
        Ok(Some(Self { status, len, body }))
    }

    fn is_whole(&self, body: &[u8]) -> bool {
        match self.body {
            BodyEnd::Length(length) => body.len() >= length,
            BodyEnd::Chunk => body.ends_with(b"0\r\n\r\n"),
            BodyEnd::Connection => false,
        }
    }
}

fn join_chunks(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(Status::Complete((start, len))) = httparse::parse_chunk_size(chunks) else {
            return None;
        };
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        if len == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunks.get(start..end)?);
        // A line break ends each chunk.
        chunks = chunks.get(end + 2..)?;
    }
}

fn closed(error: &(dyn std::error::Error + 'static)) -> GetFailure {
    let cause = ProtocolFailure::from_error(Site::Unknown, error);
    ("closed the connection", Some(cause))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Asks a server that gives this answer and closes the connection.
    async fn answer(answer: &'static str) -> Result<(u16, String), &'static str> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        };
        let ask = async {
            let stream = TcpStream::connect(address).await.unwrap();
            get(stream, "127.0.0.1", "json/list").await
        };
        let (got, ()) = tokio::join!(ask, serve);
        let got = got.map_err(|(what, _)| what)?;
        Ok((got.status.as_u16(), String::from_utf8(got.body).unwrap()))
    }

    #[tokio::test]
    async fn a_body_ends_by_its_length_its_last_chunk_or_with_the_connection() {
        let ok = |body: &str| Ok((200, body.to_owned()));
        for (given, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length:2\r\n\r\n[]xx", ok("[]")),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
                ok("[]"),
            ),
            ("HTTP/1.0 200 OK\r\n\r\n[]", ok("[]")),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[]",
                Err("broke off, or its answer is too long"),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n[",
                Err("broke off, or its answer is too long"),
            ),
            ("HTTP/1.1 200", Err("closed the connection")),
            ("SSH-2.0\r\n", Err("closed the connection")),
            ("", Err("closed the connection")),
        ] {
            assert_eq!(answer(given).await, expected, "{given}");
        }
    }
}
