// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hot half is a loop of C on a thread of its own.

use std::ffi::{c_int, c_void};
use std::os::fd::IntoRawFd;
use std::time::Duration;
use std::{env, io};

use nart_tokio::channel::{self, NartTx, Receiver, Sender};
use nart_tokio::{Loop, LoopHandle, LoopOptions, LoopThread, TaskType};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Clone, Copy)]
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

// ---- the hot half ----

unsafe extern "C" {
    static conn_type: TaskType;
    fn conn_init(frame: *mut Frame, fd: c_int, journal: *mut NartTx);
    fn conn_drop(frame: *mut c_void);
}

/// Space for a `struct conn`.
#[repr(C, align(64))]
struct Frame([u8; 1024]);

fn serve(hot: &LoopHandle, stream: TcpStream, journal: &Sender<Meter>) -> Result<(), Error> {
    let mut journal = journal.try_clone()?.into_c();
    let fd = stream.into_std()?.into_raw_fd();
    let mut frame = Frame([0; 1024]);
    // SAFETY: the frame is initialised; the task owns what it refers to, unless it was refused.
    unsafe {
        conn_init(&mut frame, fd, &mut journal);
        let init = (&raw const frame).cast();
        match hot.spawn(&conn_type, init) {
            Ok(task) => task.detach(),
            Err(error) => {
                conn_drop((&raw mut frame).cast());
                return Err(error.into());
            }
        }
    }
    Ok(())
}

// ---- the cold half ----

async fn write_journal(mut meters: Receiver<Meter>, mut file: File) -> io::Result<()> {
    while let Some(meter) = meters.recv().await.map_err(io::Error::other)? {
        file.write_all(meter.record().as_bytes()).await?;
    }
    file.flush().await
}

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let path = env::args()
        .nth(1)
        .ok_or("the path of the journal is missing")?;
    let hot = LoopThread::new(LoopOptions::new().name("hot"))?;
    // SAFETY: the loop is live.
    let open = |hot: &Loop| unsafe { channel::mpsc::<Meter>(hot.as_c(), 256) };
    let (journal, meters) = hot.handle().call(open).await??;
    let written = tokio::spawn(write_journal(meters, File::create(path).await?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut term = signal(SignalKind::terminate())?;
    println!("listening at {}", listener.local_addr()?);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = term.recv() => break,
        };
        stream.set_nodelay(true)?;
        serve(&hot.handle(), stream, &journal)?;
    }
    hot.shutdown(Duration::from_secs(10)).await?;
    drop(journal);
    written.await??;
    Ok(())
}
