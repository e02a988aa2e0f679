//! As much of HTTP/1.1 as the example `serve` needs: one request a connection, with a known length.

use serde::Serialize;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The largest head and the largest body of a request, in bytes.
const HEAD_BYTES_MAX: u64 = 16 << 10;
const BODY_BYTES_MAX: u64 = 1 << 20;

/// How long a client may be silent, and take for its answer.
const SILENCE_MAX: Duration = Duration::from_secs(5);

pub struct Request {
    pub method: String,
    pub path: String,
    pub body: String,
}

pub struct Response {
    status: u16,
    kind: &'static str,
    body: String,
}

impl Response {
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_string(value).unwrap_or_default() + "\n";
        Self { status, kind: "application/json", body }
    }

    pub fn text(body: String) -> Self {
        Self { status: 200, kind: "text/plain; version=0.0.4", body }
    }
}

/// Reads a request, and writes the handler's answer. A client that has gone is not a failure.
pub fn answer(stream: TcpStream, handle: &dyn Fn(&Request) -> Response) {
    let response = match read(&stream) {
        Ok(Ok(request)) => handle(&request),
        Ok(Err(status)) => Response::json(status, &serde_json::json!({"error": reason(status)})),
        Err(_) => return,
    };
    let _ = write(stream, &response);
}

/// A request, or the status that refuses it.
fn read(stream: &TcpStream) -> io::Result<Result<Request, u16>> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    let mut head = BufReader::new(stream).take(HEAD_BYTES_MAX);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(Err(400));
    };
    let mut length = 0;
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Ok(Err(400)); // it ends within the head, or the head is too long
        }
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            let Ok(bytes) = value.trim().parse() else { return Ok(Err(400)) };
            length = bytes;
        }
    }
    if length > BODY_BYTES_MAX {
        // A client that is cut off while it sends would not see the answer.
        io::copy(&mut head.into_inner().take(length.min(8 * BODY_BYTES_MAX)), &mut io::sink())?;
        return Ok(Err(413));
    }
    let mut body = Vec::new();
    head.into_inner().take(length).read_to_end(&mut body)?;
    let body = String::from_utf8(body).map_err(|_| 400);
    Ok(body.map(|body| Request { method, path, body }))
}

fn write(mut stream: TcpStream, response: &Response) -> io::Result<()> {
    let Response { status, kind, body } = response;
    let (reason, length) = (reason(*status), body.len());
    write!(
        stream,
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        404 => "Not Found",
        409 => "Conflict",
        413 => "Content Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}
