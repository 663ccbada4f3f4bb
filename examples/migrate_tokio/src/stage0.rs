// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server as it was, on tokio. Its argument is the path of the journal.
//!
//!   ADD <number>    OK <count> <sum> <maximum>: of the numbers of this client
//!   SAVE <name>     SAVED: these three will be a line of the journal

use std::{env, io, sync::Arc};

use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

#[derive(Default)]
struct Meter {
    name: String,
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
        format!("{} {} {} {}\n", self.name, self.count, self.sum, self.max)
    }
}

fn is_name(name: &str) -> bool {
    (1..16).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

async fn serve(stream: TcpStream, journal: Arc<Mutex<File>>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut meter = Meter::default();
    while let Some(line) = lines.next_line().await? {
        let reply = match line.split_once(' ') {
            Some(("ADD", value)) => value
                .parse()
                .map_or("ERR\n".into(), |value| meter.add(value)),
            Some(("SAVE", name)) if is_name(name) => {
                meter.name = name.into();
                journal
                    .lock()
                    .await
                    .write_all(meter.record().as_bytes())
                    .await?;
                "SAVED\n".into()
            }
            _ => "ERR\n".into(),
        };
        write.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args()
        .nth(1)
        .ok_or("the path of the journal is missing")?;
    let journal = Arc::new(Mutex::new(File::create(path).await?));
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
    journal.lock().await.flush().await?;
    Ok(())
}
