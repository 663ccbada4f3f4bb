// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS connection over a socket of C. rustls is the state machine; the socket is a `nart_tcp`, whose
//! operations register the task and park it. So these work under every driver that has sockets.
//!
//! 1. An operation first checks the budget and cancellation, as those of C do. Until it answers, it has
//!    taken no byte of its caller, and given none.
//! 2. Ciphertext that the kernel did not accept stays in rustls's buffer: at most LIMIT bytes, because
//!    more is encrypted only when the buffer is empty. The next operation sends it.
//! 3. The reader and the writer may be two tasks. The writer waits for the socket to become writable.
//!    The reader does so, too, if ciphertext is left: a program may send and then wait for the response.
//!    If the writer then comes, it takes that wait over (flush()).
//! 4. A failure is permanent: each later operation answers it.

use std::ffi::c_void;
use std::io::{self, BufRead, ErrorKind, Write};
use std::ptr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, HandshakeKind};
use rustls::{ServerConfig, ServerConnection};

use crate::panic::catch;
use crate::sys::net::{nart_tcp_fd, nart_tcp_recv, nart_tcp_send, NartTcp};
use crate::sys::{errno, Poll, Res, ETLS, ETLS_TRUNCATED, PENDING};

/// Ciphertext in the buffer, and plaintext that is encrypted at once.
const LIMIT: usize = 64 << 10;
/// Ciphertext that is received at once: more than the largest record.
const PART: usize = 17 << 10;

/// What a connection is made with.
pub enum Config {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

/// The socket of a connection, in a poll.
#[derive(Clone, Copy)]
pub struct Socket {
    pub poll: Poll,
    pub tcp: *mut NartTcp,
}

/// What rustls writes to. An error of C is kept: rustls sees WouldBlock.
struct Pipe {
    socket: Socket,
    answer: Res,
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let Socket { poll, tcp } = self.socket;
        // SAFETY: the context and the handle are live as long as the operation runs.
        let sent = unsafe { nart_tcp_send(poll.cx(), tcp, buf.as_ptr().cast(), buf.len()) };
        usize::try_from(sent).map_err(|_| {
            self.answer = sent;
            ErrorKind::WouldBlock.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to a socket without waiting for it.
struct Attempt {
    tcp: *mut NartTcp,
    answer: Res,
}

impl Write for Attempt {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // SAFETY: the handle is live as long as the operation runs.
        let fd = unsafe { nart_tcp_fd(self.tcp) };
        if fd < 0 {
            self.answer = fd;
            return Err(ErrorKind::WouldBlock.into());
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the descriptor is the handle's; reads `buf`.
        let n = unsafe { libc::send(fd as i32, buf.as_ptr().cast(), buf.len(), flags) };
        usize::try_from(n).map_err(|_| {
            let e = io::Error::last_os_error();
            if e.kind() != ErrorKind::WouldBlock {
                self.answer = errno(e.raw_os_error().unwrap_or(libc::EIO));
            }
            ErrorKind::WouldBlock.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn with_nul(text: &[u8]) -> Vec<u8> {
    [text, b"\0"].concat()
}

pub struct Session {
    conn: Connection,
    /// Ciphertext that rustls does not accept before plaintext has been read.
    inbox: Vec<u8>,
    /// A permanent failure, and its text with a NUL.
    failed: Option<(Res, Vec<u8>)>,
    /// With a NUL. Set at the end of the handshake, as `open`.
    alpn: Option<Vec<u8>>,
    server_name: Option<Vec<u8>>,
    open: bool,
    /// close_notify was sent.
    shut: bool,
    /// The task whose recv() waits for the socket to become writable, or NULL.
    flusher: *const c_void,
}

impl Session {
    pub fn client(config: &Arc<ClientConfig>, server: &str) -> Result<Session, Res> {
        let invalid = errno(libc::EINVAL);
        let name = ServerName::try_from(server.to_owned()).map_err(|_| invalid)?;
        let conn = ClientConnection::new(config.clone(), name).map_err(|_| invalid)?;
        let mut session = Session::new(Connection::Client(conn));
        session.server_name = Some(with_nul(server.as_bytes()));
        Ok(session)
    }

    pub fn server(config: &Arc<ServerConfig>) -> Result<Session, Res> {
        let conn = ServerConnection::new(config.clone()).map_err(|_| errno(libc::EINVAL))?;
        Ok(Session::new(Connection::Server(conn)))
    }

    fn new(mut conn: Connection) -> Session {
        conn.set_buffer_limit(Some(LIMIT));
        Session {
            conn,
            inbox: Vec::new(),
            failed: None,
            alpn: None,
            server_name: None,
            open: false,
            shut: false,
            flusher: ptr::null(),
        }
    }

    fn fail(&mut self, code: Res, text: &str) -> Res {
        if self.failed.is_none() {
            self.failed = Some((code, with_nul(text.as_bytes())));
        }
        code
    }

    /// -ENOTCONN before the end of the handshake.
    fn check_open(&self) -> Result<(), Res> {
        match &self.failed {
            Some((code, _)) => Err(*code),
            None if !self.open => Err(errno(libc::ENOTCONN)),
            None => Ok(()),
        }
    }

    // ---- between the socket and rustls ----

    /// Sends what rustls has to send, or waits for the socket.
    fn flush(&mut self, socket: Socket) -> Result<(), Res> {
        while self.conn.wants_write() {
            let mut pipe = Pipe { socket, answer: 0 };
            if self.conn.write_tls(&mut pipe).is_ok() {
                continue;
            }
            let flusher = std::mem::replace(&mut self.flusher, ptr::null());
            if pipe.answer != errno(libc::EBUSY) || flusher.is_null() {
                return Err(pipe.answer);
            }
            if flusher == socket.poll.task() {
                return Err(socket.poll.park()); // another arm of its race waits for the same
            }
            // SAFETY: the handle is live, and this is its thread. The reader's next poll finds that this
            // task waits.
            unsafe { (*socket.tcp).wake() }
        }
        Ok(())
    }

    /// The same without waiting. The error of the socket, if any.
    fn try_flush(&mut self, tcp: *mut NartTcp) -> Result<(), Res> {
        let mut attempt = Attempt { tcp, answer: 0 };
        while self.conn.wants_write() {
            if self.conn.write_tls(&mut attempt).is_err() {
                return match attempt.answer {
                    0 => Ok(()),
                    answer => Err(answer),
                };
            }
        }
        Ok(())
    }

    /// Receives some ciphertext, unless some is left, and decrypts it. Called without pending plaintext.
    /// Err: what the operation answers.
    fn fill(&mut self, Socket { poll, tcp }: Socket) -> Result<(), Res> {
        let left = std::mem::take(&mut self.inbox);
        let mut part = [0; PART];
        let data = match left.is_empty() {
            false => &left[..],
            true => {
                // SAFETY: the context and the handle are live as long as the operation runs.
                let n = unsafe { nart_tcp_recv(poll.cx(), tcp, part.as_mut_ptr().cast(), PART) };
                &part[..usize::try_from(n).map_err(|_| n)?]
            }
        };
        if data.is_empty() {
            return self.end_of_input();
        }
        let used = self.decrypt(data).inspect_err(|_| {
            let _ = self.try_flush(tcp); // an alert that says so
        })?;
        self.inbox = data[used..].to_vec();
        Ok(())
    }

    fn end_of_input(&mut self) -> Result<(), Res> {
        if !self.open {
            let text = "the peer closed the connection during the handshake";
            return Err(self.fail(ETLS_TRUNCATED, text));
        }
        match self.conn.read_tls(&mut io::empty()) {
            Ok(_) => Ok(()),
            Err(e) => Err(self.fail(ETLS, &e.to_string())),
        }
    }

    /// How many bytes rustls accepts before it has enough plaintext.
    fn decrypt(&mut self, data: &[u8]) -> Result<usize, Res> {
        let (mut used, mut plaintext) = (0, 0);
        while used < data.len() {
            match self.conn.read_tls(&mut &data[used..]) {
                Ok(0) => used = data.len(), // it follows close_notify
                Ok(n) => used += n,
                Err(_) if plaintext > 0 => break,
                Err(e) => return Err(self.fail(ETLS, &e.to_string())),
            }
            // rustls asserts more in debug builds, of what a peer can cause after a shutdown.
            match catch(|| self.conn.process_new_packets()) {
                Ok(Ok(state)) => plaintext = state.plaintext_bytes_to_read(),
                Ok(Err(e)) => return Err(self.fail(ETLS, &e.to_string())),
                Err(text) => return Err(self.fail(ETLS, &text)),
            }
        }
        Ok(used)
    }

    // ---- operations ----

    pub fn handshake(&mut self, socket: Socket) -> Result<Res, Res> {
        if let Some((code, _)) = &self.failed {
            return Err(*code);
        }
        if self.open {
            return Err(errno(libc::EISCONN));
        }
        loop {
            self.flush(socket)?;
            if !self.conn.is_handshaking() {
                break;
            }
            self.fill(socket)?;
        }
        self.open = true;
        self.alpn = self.conn.alpn_protocol().map(with_nul);
        if let Connection::Server(server) = &self.conn {
            self.server_name = server.server_name().map(|name| with_nul(name.as_bytes()));
        }
        Ok(0)
    }

    /// Copies pending plaintext. None: more ciphertext is needed.
    ///
    /// # Safety
    /// `buf` has space for `len` bytes.
    unsafe fn take(&mut self, buf: *mut u8, len: usize) -> Option<Result<usize, Res>> {
        let mut n = 0;
        while n < len {
            let mut reader = self.conn.reader();
            let k = match reader.fill_buf() {
                Ok([]) => break,
                Ok(chunk) => {
                    let k = chunk.len().min(len - n);
                    // SAFETY: the caller's promise.
                    unsafe { ptr::copy_nonoverlapping(chunk.as_ptr(), buf.add(n), k) };
                    k
                }
                Err(_) if n > 0 => break,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => {
                    let text = "the peer closed the connection without close_notify";
                    return Some(Err(self.fail(ETLS_TRUNCATED, text)));
                }
            };
            reader.consume(k);
            n += k;
        }
        Some(Ok(n))
    }

    /// # Safety
    /// `buf` has space for `len` bytes.
    pub unsafe fn recv(&mut self, socket: Socket, buf: *mut u8, len: usize) -> Result<Res, Res> {
        if self.flusher == socket.poll.task() {
            self.flusher = ptr::null();
        }
        if !self.open {
            self.check_open()?;
        }
        if len == 0 {
            return Err(errno(libc::EINVAL));
        }
        let answer = loop {
            // SAFETY: the caller's promise.
            match unsafe { self.take(buf, len) } {
                Some(taken) => return taken.map(|n| n as Res),
                None => self.check_open()?,
            }
            let _ = self.try_flush(socket.tcp);
            let Err(answer) = self.fill(socket) else {
                continue;
            };
            if self.failed.is_some() {
                // What was decrypted before the failure comes first.
                // SAFETY: the caller's promise.
                if let Some(Ok(n @ 1..)) = unsafe { self.take(buf, len) } {
                    return Ok(n as Res);
                }
            }
            break answer;
        };
        if answer == PENDING && self.conn.wants_write() {
            self.wait_to_flush(socket);
        }
        Err(answer)
    }

    /// recv() waits, and ciphertext is left. An error is the next operation's.
    fn wait_to_flush(&mut self, socket: Socket) {
        let mut pipe = Pipe { socket, answer: 0 };
        while self.conn.wants_write() {
            if self.conn.write_tls(&mut pipe).is_err() {
                if pipe.answer == PENDING {
                    self.flusher = socket.poll.task();
                }
                return;
            }
        }
    }

    /// Encrypts at least one byte of `data`, which is not empty. Nothing is left in the buffer.
    fn encrypt(&mut self, data: &[u8]) -> Result<usize, Res> {
        let some = &data[..data.len().min(LIMIT)];
        match self.conn.writer().write(some) {
            Ok(n) if n > 0 => Ok(n),
            Ok(_) => Err(self.fail(ETLS, "the connection cannot encrypt more data")),
            Err(e) => Err(self.fail(ETLS, &e.to_string())),
        }
    }

    fn check_send(&self) -> Result<(), Res> {
        self.check_open()?;
        match self.shut {
            true => Err(errno(libc::EPIPE)),
            false => Ok(()),
        }
    }

    pub fn send(&mut self, socket: Socket, data: &[u8]) -> Result<Res, Res> {
        self.check_send()?;
        if data.is_empty() {
            return Ok(0);
        }
        self.flush(socket)?;
        let n = self.encrypt(data)?;
        self.try_flush(socket.tcp)?;
        Ok(n as Res)
    }

    pub fn send_all(&mut self, socket: Socket, data: &[u8], done: &mut usize) -> Result<Res, Res> {
        self.check_send()?;
        if *done > data.len() {
            return Err(errno(libc::EINVAL));
        }
        loop {
            self.flush(socket)?;
            if *done == data.len() {
                *done = 0;
                return Ok(data.len() as Res);
            }
            *done += self.encrypt(&data[*done..])?;
        }
    }

    pub fn flush_all(&mut self, socket: Socket) -> Result<Res, Res> {
        self.check_open()?;
        self.flush(socket)?;
        Ok(0)
    }

    pub fn shutdown(&mut self, socket: Socket) -> Result<Res, Res> {
        self.check_open()?;
        if !self.shut {
            self.conn.send_close_notify();
            self.shut = true;
        }
        self.flush(socket)?;
        Ok(0)
    }

    // ---- what is known ----

    /// The text of the failure, with a NUL.
    pub fn error(&self) -> Option<&[u8]> {
        self.failed.as_ref().map(|(_, text)| &text[..])
    }

    /// With a NUL.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// With a NUL.
    pub fn server_name(&self) -> Option<&[u8]> {
        self.server_name.as_deref()
    }

    /// As TLS writes it: 0x0303 is 1.2. 0: not known yet.
    pub fn version(&self) -> Res {
        self.conn
            .protocol_version()
            .map_or(0, |v| u16::from(v).into())
    }

    pub fn is_resumed(&self) -> bool {
        self.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// DER of the i-th certificate of the peer's chain.
    pub fn peer_certificate(&self, i: usize) -> Option<&[u8]> {
        Some(self.conn.peer_certificates()?.get(i)?)
    }
}
