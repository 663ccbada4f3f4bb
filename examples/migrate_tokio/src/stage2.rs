// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the hot half computes is a function of C.

use std::ffi::{CStr, CString, c_char};
use std::{env, io};

use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Meter {
    name: [u8; 16],
    count: i64,
    sum: i64,
    max: i64,
}

impl Meter {
    fn record(&self) -> String {
        let name = String::from_utf8_lossy(&self.name);
        format!(
            "{} {} {} {}\n",
            name.trim_end_matches('\0'),
            self.count,
            self.sum,
            self.max
        )
    }
}

unsafe extern "C" {
    fn meter_line(meter: &mut Meter, line: *const c_char, reply: *mut c_char) -> bool;
}

// ---- the hot half ----

async fn serve(stream: TcpStream, journal: mpsc::Sender<Meter>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut meter = Meter::default();
    while let Some(line) = lines.next_line().await? {
        let line = CString::new(line)?;
        let mut reply = [0; 80];
        // SAFETY: a C string, and space for every reply (METER_REPLY).
        if unsafe { meter_line(&mut meter, line.as_ptr(), reply.as_mut_ptr().cast()) } {
            journal.send(meter).await.map_err(io::Error::other)?;
        }
        let reply = CStr::from_bytes_until_nul(&reply).map_err(io::Error::other)?;
        write.write_all(reply.to_bytes()).await?;
    }
    Ok(())
}

// ---- the cold half ----

async fn write_journal(mut meters: mpsc::Receiver<Meter>, mut file: File) -> io::Result<()> {
    while let Some(meter) = meters.recv().await {
        file.write_all(meter.record().as_bytes()).await?;
    }
    file.flush().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args()
        .nth(1)
        .ok_or("the path of the journal is missing")?;
    let (journal, meters) = mpsc::channel(256);
    let written = tokio::spawn(write_journal(meters, File::create(path).await?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut term = signal(SignalKind::terminate())?;
    let mut clients = JoinSet::new();
    println!("listening at {}", listener.local_addr()?);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = term.recv() => break,
        };
        stream.set_nodelay(true)?;
        clients.spawn(serve(stream, journal.clone()));
        while clients.try_join_next().is_some() {}
    }
    clients.shutdown().await;
    drop(journal);
    written.await??;
    Ok(())
}
