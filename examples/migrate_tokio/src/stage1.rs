// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journal, the cold half, is behind a channel of plain values.

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
    fn add(&mut self, value: i64) -> String {
        if self.count == 0 || self.max < value {
            self.max = value;
        }
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
        format!("OK {} {} {}\n", self.count, self.sum, self.max)
    }

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

fn is_name(name: &str) -> bool {
    (1..16).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

// ---- the hot half ----

async fn serve(stream: TcpStream, journal: mpsc::Sender<Meter>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut meter = Meter::default();
    while let Some(line) = lines.next_line().await? {
        let reply = match line.split_once(' ') {
            Some(("ADD", value)) => value
                .parse()
                .map_or("ERR\n".into(), |value| meter.add(value)),
            Some(("SAVE", name)) if is_name(name) => {
                meter.name = [0; 16];
                meter.name[..name.len()].copy_from_slice(name.as_bytes());
                journal.send(meter).await.map_err(io::Error::other)?;
                "SAVED\n".into()
            }
            _ => "ERR\n".into(),
        };
        write.write_all(reply.as_bytes()).await?;
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
