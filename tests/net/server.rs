//! A server on loopback, HTTPS or plain, that records what it is asked and answers as it is told, badly too.
//!
//! Threads and blocking sockets: it must be able to send any bytes at any pace, and it is not to share the runtime of the
//! host that it is asked by.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as the server saw it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(header, _)| header == name);
        let first = all.next().map(|(_, value)| value.as_str());
        assert!(all.next().is_none(), "{name} is there twice: {self:?}");
        first
    }
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Keep,
    Close,
}

/// Where an answer is written to.
pub trait Out: Read + Write {}
impl<T: Read + Write> Out for T {}

type Handler = dyn Fn(&Asked, &mut dyn Out) -> io::Result<Then> + Send + Sync;

pub struct Server {
    pub port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
}

/// An authority that signs servers' certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }
}

impl Server {
    /// Serves `names` by HTTPS, with a certificate of `authority`.
    pub fn https(
        authority: &Authority,
        names: &[&str],
        handler: impl Fn(&Asked, &mut dyn Out) -> io::Result<Then> + Send + Sync + 'static,
    ) -> Server {
        Server::start(Some(authority.server(names)), Arc::new(handler))
    }

    pub fn plain(
        handler: impl Fn(&Asked, &mut dyn Out) -> io::Result<Then> + Send + Sync + 'static,
    ) -> Server {
        Server::start(None, Arc::new(handler))
    }

    fn start(tls: Option<Arc<ServerConfig>>, handler: Arc<Handler>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Seen> = Arc::default();
        let server = Server { port, seen: seen.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let (tls, handler, seen) = (tls.clone(), handler.clone(), seen.clone());
                thread::spawn(move || serve(stream, tls, &*handler, &seen));
            }
        });
        server
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, handler: &Handler, seen: &Seen) {
    // No test waits longer for anything.
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    // What goes wrong here the client sees, and its test with it.
    let _ = match tls {
        None => answer_all(stream, handler, seen),
        Some(config) => {
            let connection = ServerConnection::new(config).unwrap();
            answer_all(StreamOwned::new(connection, stream), handler, seen)
        }
    };
}

fn answer_all(mut stream: impl Out, handler: &Handler, seen: &Seen) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer)? {
        seen.asked.lock().unwrap().push(asked.clone());
        let then = handler(&asked, &mut stream)?;
        stream.flush()?;
        if then == Then::Close {
            return Ok(());
        }
    }
    Ok(())
}

fn more(stream: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0; 16 << 10];
    let size = stream.read(&mut piece)?;
    buffer.extend_from_slice(&piece[..size]);
    Ok(size > 0)
}

fn read(stream: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<Asked>> {
    let end = loop {
        match buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) => break end,
            None if !more(stream, buffer)? => return Ok(None),
            None => {}
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let mut asked = Asked { method: word(), path: word(), ..Asked::default() };
    asked.headers = lines.map(header).collect();
    let mut body = Vec::new();
    if asked.header("transfer-encoding").is_some() {
        while let Some(piece) = chunk(stream, buffer)? {
            body.extend(piece);
        }
    } else if let Some(length) = asked.header("content-length") {
        let length: usize = length.parse().unwrap_or(0);
        while buffer.len() < length && more(stream, buffer)? {}
        body.extend(buffer.drain(..length.min(buffer.len())));
    }
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(asked))
}

fn chunk(stream: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = buffer.windows(2).position(|two| two == b"\r\n") {
            let size = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
            if buffer.len() >= end + 2 + size + 2 {
                let piece = buffer[end + 2..end + 2 + size].to_vec();
                buffer.drain(..end + 2 + size + 2);
                return Ok((size > 0).then_some(piece));
            }
        }
        if !more(stream, buffer)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// An answer with a body of a known size.
pub fn answer(out: &mut dyn Out, status: &str, headers: &str, body: &str) -> io::Result<Then> {
    let length = body.len();
    write!(out, "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")?;
    Ok(Then::Keep)
}

pub fn ok(out: &mut dyn Out, body: &str) -> io::Result<Then> {
    answer(out, "200 OK", "", body)
}

/// As hexadecimal digits.
pub fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
