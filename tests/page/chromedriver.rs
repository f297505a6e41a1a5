//! A chromedriver: `$CHROMEDRIVER`, or the one on `PATH`.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where it is; `None`: this machine has none.
///
/// # Errors
/// The one that was asked for is not there.
pub(crate) fn find() -> Result<Option<PathBuf>, String> {
    if let Some(path) = env::var_os("CHROMEDRIVER") {
        let path = PathBuf::from(path);
        return match path.is_file() {
            true => Ok(Some(path)),
            false => Err(format!(
                "CHROMEDRIVER is \"{}\", which is no file; install chromium-driver and set it to \
                 its path, or unset it to do without",
                path.display()
            )),
        };
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let mut paths = env::split_paths(&folders).map(|folder| folder.join("chromedriver"));
    Ok(paths.find(|path| path.is_file()))
}

/// A running driver; it ends with this value.
pub(crate) struct Chromedriver {
    process: Child,
    pub(crate) port: u16,
}

impl Chromedriver {
    /// Starts it on a port that the kernel picks. It wants the same one of IPv4 and of IPv6,
    /// and ends where somebody has the other: another is picked then.
    ///
    /// # Panics
    /// When it never says which.
    pub(crate) fn start(path: &Path) -> Chromedriver {
        let mut started = (0..PORTS_TRIED).filter_map(|_| Chromedriver::try_start(path));
        let driver = started.next();
        driver.unwrap_or_else(|| panic!("{} ends, {PORTS_TRIED} times", path.display()))
    }

    fn try_start(path: &Path) -> Option<Chromedriver> {
        let mut command = Command::new(path);
        command.arg("--port=0").stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut lines = output.lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        match port {
            Some(port) => Some(Chromedriver { process, port }),
            None => {
                process.wait().unwrap();
                None
            }
        }
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        // Killed at once, it would leave its browser behind. What fails here fails because it
        // has ended already.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(GRACE));
            let _ = stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How long a browser may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How many ports may be taken in a row.
const PORTS_TRIED: usize = 10;
