//! A Carbon daemon as simple as can be: it reads lines, keeps them in memory, and never answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A running daemon; its listener ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Carbon {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Carbon {
    /// Starts one at `address`, which resets each of its first `breaks` connections after 100,000
    /// bytes.
    pub(crate) fn start(address: &str, breaks: usize) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let kept: Arc<Mutex<Vec<String>>> = Arc::default();
        let over: Arc<AtomicBool> = Arc::default();
        let (keep, ended) = (Arc::clone(&kept), Arc::clone(&over));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let keep = Arc::clone(&keep);
                let most = if number < breaks { 100_000 } else { usize::MAX };
                std::thread::spawn(move || read(stream.unwrap(), most, &keep));
            }
        });
        Self { address, kept, over }
    }

    /// What came, in the order of its arrival.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.kept.lock().unwrap().clone()
    }
}

impl Drop for Carbon {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The listener looks when somebody comes.
        let _ = TcpStream::connect(self.address);
    }
}

fn read(mut stream: TcpStream, most: usize, kept: &Mutex<Vec<String>>) {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    let mut seen = 0;
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
        seen += count;
        let whole = all.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = String::from_utf8(all.drain(..whole).collect()).unwrap();
        kept.lock().unwrap().extend(lines.lines().map(str::to_owned));
        if seen > most {
            return;
        }
    }
    let _ = stream.flush();
}
