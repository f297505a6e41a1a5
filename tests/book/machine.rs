//! A machine with a balancer, as the pages suppose it: see `machine/` for the commands that
//! belong to a whole one.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use dtr_lb_tests::dtr_lb_binary;
use dtr_lb_tests::namespace::{self, ip};

use crate::errand::COMPILED;
use crate::page::root;
use crate::replicas::{self, REPLICAS};
use crate::scene::Scene;

/// The machine that this process is on, once it has entered it.
pub(crate) struct Machine {
    folder: PathBuf,
}

impl Machine {
    /// Moves this process onto a machine of its own, which ends with it and keeps its files
    /// in the folder; its replicas are as the scene has them.
    ///
    /// To be called while the process has one thread.
    ///
    /// # Errors
    /// When there can't be one here.
    pub(crate) fn enter(folder: &Path, scene: &'static Scene) -> Result<Machine> {
        namespace::unshare().context(FORBIDDEN)?;
        namespace::go_on_as_first().context(FORBIDDEN)?;
        namespace::leave_first_as_init().context("its child")?;
        let machine = Machine {
            folder: folder.to_owned(),
        };
        // Other users look for files here.
        open_to_all(folder)?;
        fs::create_dir(machine.working_folder())?;
        ip(&["link", "set", "lo", "up"])?;
        let authority = replicas::start(FQDN, scene).context("the replicas")?;
        for place in ["/usr/bin", "/var/cache", "/var/lib", "/var/log"] {
            machine.furnish(place, &[]).context(place)?;
        }
        // In the latter Envoys would meet.
        for place in ["/run", "/dev/shm"] {
            namespace::empty(Path::new(place)).context(place)?;
        }
        fs::create_dir("/run/machine")?;
        if let Some(envoy) = env::var_os("ENVOY") {
            fs::create_dir(machine.file("bin"))?;
            symlink(envoy, machine.file("bin/envoy"))?;
        }
        machine.furnish_etc(&authority).context("/etc")?;
        install(&dtr_lb_binary()?)?;
        Ok(machine)
    }

    /// Where commands are entered.
    pub(crate) fn working_folder(&self) -> PathBuf {
        self.file("work")
    }

    /// A file beside that folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A shell that is given a script.
    ///
    /// # Errors
    /// When this program has no path.
    pub(crate) fn shell(&self, script: &str) -> Result<Command> {
        let mut shell = Command::new("timeout");
        shell.args([
            "--kill-after=5",
            LIMIT,
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script,
        ]);
        self.furnish_command(&mut shell)?;
        Ok(shell)
    }

    /// A shell that becomes the one program that the script names, for as long as that runs.
    ///
    /// # Errors
    /// When this program has no path.
    pub(crate) fn program(&self, script: &str) -> Result<Command> {
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &format!("exec {script}")]);
        self.furnish_command(&mut shell)?;
        Ok(shell)
    }

    /// Runs what no page has; what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn script(&self, script: &str) -> Result<String> {
        let output = self.shell(script)?.output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        if !output.status.success() {
            bail!("{script}: {}\n{out}{err}", output.status);
        }
        Ok(out)
    }

    fn furnish_command(&self, command: &mut Command) -> Result<()> {
        let own = root().join("tests/book/machine");
        let path = env::var_os("PATH").unwrap_or_default();
        let all = [own, self.folder.join("bin")].into_iter();
        let path = env::join_paths(all.chain(env::split_paths(&path)))?;
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("DTR_LB") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.working_folder())
            .env("PATH", path)
            .env("HOME", self.working_folder())
            .env("SSL_CERT_FILE", AUTHORITIES)
            .env(
                "DTR_LB_CACHE_DIR",
                env::var_os(COMPILED).unwrap_or_default(),
            )
            .env("BOOK", env::current_exe()?)
            .env("BOOK_ROOT", root());
        Ok(())
    }

    /// `/etc` with the machine's names, users, authorities and the balancer's folder.
    fn furnish_etc(&self, authority: &str) -> Result<()> {
        let own = ["hosts", "resolv.conf", "passwd", "group", "dtr-lb", "nginx"];
        let (passwd, group) = (
            fs::read_to_string("/etc/passwd")?,
            fs::read_to_string("/etc/group")?,
        );
        self.furnish("/etc", &own)?;
        let file = self.folder.join("authorities.pem");
        fs::write(&file, authority)?;
        namespace::bind(&file, Path::new(AUTHORITIES)).context(AUTHORITIES)?;
        let names = REPLICAS.map(|(name, address)| {
            let number = name.trim_start_matches('r');
            format!("{address} dtr{number}.internal\n")
        });
        let hosts = format!("127.0.0.1 localhost {FQDN}\n{}", names.concat());
        fs::write("/etc/hosts", hosts)?;
        fs::write("/etc/resolv.conf", "")?;
        fs::write(
            "/etc/passwd",
            passwd + &format!("dtr-lb:x:{USER}:{USER}::/nonexistent:/usr/sbin/nologin\n"),
        )?;
        fs::write("/etc/group", group + &format!("dtr-lb:x:{USER}:\n"))?;
        fs::create_dir("/etc/dtr-lb")?;
        fs::create_dir("/etc/nginx")?;
        if namespace::has_other_users()? {
            chown("/etc/dtr-lb", Some(0), Some(USER))?;
        }
        Ok(())
    }

    /// Puts a folder of links to all that a place has in that place, but for some names, so
    /// that what a page puts there is on this machine alone.
    fn furnish(&self, place: &str, but: &[&str]) -> io::Result<()> {
        let place = Path::new(place);
        let real = self.folder.join(place.strip_prefix("/").unwrap_or(place));
        fs::create_dir_all(&real)?;
        namespace::bind(place, &real)?;
        namespace::empty(place)?;
        open_to_all(place)?;
        for entry in fs::read_dir(&real)? {
            let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
            if but.iter().any(|one| name == *one) {
                continue;
            }
            // A link leads where it did, from where it was.
            let leads_to = if path.is_symlink() {
                fs::read_link(&path)?
            } else {
                path
            };
            symlink(leads_to, place.join(name))?;
        }
        Ok(())
    }
}

fn install(program: &Path) -> Result<()> {
    let place = Path::new("/usr/bin/dtr-lb");
    // One that this machine has already.
    let _ = fs::remove_file(place);
    fs::copy(program, place).with_context(|| program.display().to_string())?;
    Ok(open_to_all(place)?)
}

fn open_to_all(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// What is said where nothing that can be installed would help.
pub(crate) const FORBIDDEN: &str = "the system does not allow namespaces of one's own";
pub(crate) const FQDN: &str = "dtr.example.com";
/// Where programs look for the certificates of authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The user and group `dtr-lb`, as numbers.
const USER: u32 = 990;
/// How long a command that ends may take, in seconds.
const LIMIT: &str = "60";
