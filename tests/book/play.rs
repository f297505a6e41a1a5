//! Does what a page says, on a machine of the page's own.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, bail};

use dtr_lb_tests::dtr_lb_binary;

use crate::command::{Command, Kind};
use crate::machine::Machine;
use crate::page::{Page, root};
use crate::replicas::REPLICAS;
use crate::running::{Running, until};
use crate::scene::Scene;
use crate::serving::{sees_replicas, serves};

/// Runs each command of a page as it stands, and prints what came of it; the machine's
/// files are in the folder.
///
/// # Errors
/// When a command does not end as it should.
pub(crate) fn play(page: &Page, folder: &Path) -> Result<()> {
    let scene = Scene::of(&page.name);
    let machine = Machine::enter(folder, scene).context("there can't be a machine here")?;
    let mut play = Play {
        page,
        scene,
        machine,
        running: Vec::new(),
        outputs: 0,
        met: Vec::new(),
    };
    let played = play.prepare().and_then(|()| play.go_through());
    if let Err(error) = played.and_then(|()| play.end()) {
        let logs = play.machine.script(LOGS).unwrap_or_default();
        return Err(error.context(format!("the machine's logs\n{logs}")));
    }
    Ok(())
}

struct Play<'a> {
    page: &'a Page,
    scene: &'static Scene,
    machine: Machine,
    /// Commands that go on.
    running: Vec<Running>,
    outputs: usize,
    /// The beginnings of commands, in the scene, that the page has.
    met: Vec<&'static str>,
}

impl Play<'_> {
    /// Makes what is there before the page begins: files, and a balancer that runs, unless
    /// the page makes them.
    fn prepare(&mut self) -> Result<()> {
        let shells = self.page.blocks.iter().filter(|block| block.is_shell());
        let commands: Vec<Command> = shells.flat_map(Command::of).collect();
        let work = self.machine.working_folder();
        // A page's curl fails where its answer is an error.
        fs::write(work.join(".curlrc"), "fail\nshow-error\n")?;
        fs::write(work.join("password"), "password\n")?;
        fs::set_permissions(work.join("password"), Permissions::from_mode(0o600))?;
        let has = |words: &str| commands.iter().any(|one| one.text.contains(words));
        if has("dtr-lb /usr/bin/dtr-lb") {
            symlink(dtr_lb_binary()?, work.join("dtr-lb"))?;
        }
        if !has("--out lb.json") {
            fs::copy(root().join("packaging/lb.json"), work.join("lb.json"))?;
        }
        let nginx = Page::named("docs/migrate/nginx.md");
        let old = nginx
            .blocks
            .iter()
            .find(|it| it.file() == Some("nginx.conf"));
        fs::write("/etc/nginx/nginx.conf", &old.context("nginx.conf")?.text)?;
        let starts = |one: &Command| matches!(one.kind(), Kind::Starts | Kind::Serves);
        if !commands.iter().any(starts) {
            self.machine.script(INSTALL)?;
            sees_replicas(&self.machine, self.scene.gone.len())?;
        }
        for script in self.scene.before {
            self.machine.script(script)?;
        }
        Ok(())
    }

    /// Writes the page's files and enters its commands.
    fn go_through(&mut self) -> Result<()> {
        let page = self.page;
        for block in &page.blocks {
            if let Some(file) = block.file() {
                fs::write(self.machine.working_folder().join(file), &block.text)?;
            }
            if !block.is_shell() {
                continue;
            }
            for command in Command::of(block) {
                let place = format!("{}:{}: {}", page.name, command.line, command.text);
                println!("{place}");
                self.enter(&command).context(place)?;
            }
        }
        Ok(())
    }

    /// Enters a command, and waits until the next one can be.
    fn enter(&mut self, command: &Command) -> Result<()> {
        match command.kind() {
            Kind::Ends => self.run(command),
            Kind::Starts => {
                self.end_balancers()?;
                self.run(command)?;
                serves(&self.machine)
            }
            Kind::Serves => {
                self.end_balancers()?;
                let output = self.start(command)?;
                let printed = || fs::read_to_string(&output).unwrap_or_default();
                serves(&self.machine).with_context(|| format!("it printed\n{}", printed()))
            }
            Kind::Watches => {
                let output = self.start(command)?;
                let printed = until("output", || {
                    let printed = fs::read_to_string(&output)?;
                    (!printed.is_empty())
                        .then_some(printed)
                        .context("there is none")
                })?;
                self.shows(command, &printed)
            }
        }
    }

    /// Runs a command to its end.
    fn run(&mut self, command: &Command) -> Result<()> {
        let (path, file) = self.output()?;
        let mut shell = self.machine.shell(&command.text)?;
        let status = shell.stdout(file.try_clone()?).stderr(file).status()?;
        let printed = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        print!("{printed}");
        let mut codes = self.scene.codes.iter();
        let other = codes.find(|(begin, _)| command.text.starts_with(begin));
        self.met.extend(other.map(|(begin, _)| begin));
        let expected = other.map_or(0, |(_, code)| *code);
        ended(status, expected)?;
        self.shows(command, &printed)
    }

    /// Starts a command that goes on; where its output is.
    fn start(&mut self, command: &Command) -> Result<PathBuf> {
        let (path, file) = self.output()?;
        let mut program = self.machine.program(&command.text)?;
        program.stdout(file.try_clone()?).stderr(file);
        let running = Running::start(program, command, &path)?;
        self.running.push(running);
        Ok(path)
    }

    /// Ends the balancers that serve, so that another one can.
    fn end_balancers(&mut self) -> Result<()> {
        let is_balancer = |one: &mut Running| one.is_balancer();
        for balancer in self.running.extract_if(.., is_balancer) {
            balancer.end()?;
        }
        self.machine.script(STOP).map(drop)
    }

    /// Ends all that goes on, once the page is over. Clients are served until then.
    fn end(&mut self) -> Result<()> {
        let has_service = self.machine.script(IS_ACTIVE).is_ok();
        let has_balancer = has_service || self.running.iter().any(Running::is_balancer);
        if has_balancer && self.scene.gone.len() < REPLICAS.len() {
            serves(&self.machine).context("when the page is over")?;
        }
        self.end_balancers()?;
        for running in self.running.drain(..) {
            running.end()?;
        }
        let (codes, shows) = (self.scene.codes.iter(), self.scene.shows.iter());
        let begins = codes.map(|it| it.0).chain(shows.map(|it| it.0));
        let lost: Vec<&str> = begins.filter(|begin| !self.met.contains(begin)).collect();
        if !lost.is_empty() {
            bail!("the page's scene has commands that the page lacks: {lost:?}");
        }
        Ok(())
    }

    fn shows(&mut self, command: &Command, printed: &str) -> Result<()> {
        let expected = self.scene.shows.iter();
        for (begin, part) in expected.filter(|(begin, _)| command.text.starts_with(begin)) {
            self.met.push(begin);
            if !printed.contains(part) {
                bail!("it does not show {part:?}, but\n{printed}");
            }
        }
        Ok(())
    }

    /// A new file for what a command prints. A pipe would be held open by what it starts.
    fn output(&mut self) -> Result<(PathBuf, File)> {
        self.outputs += 1;
        let path = self.machine.file(&format!("output-{}", self.outputs));
        let file = File::create(&path)?;
        Ok((path, file))
    }
}

fn ended(status: ExitStatus, expected: i32) -> Result<()> {
    if status.code() != Some(expected) {
        bail!("{status}, where {expected} was expected");
    }
    Ok(())
}

/// As packaging/lb.json has it, installed as docs/install.md says.
const INSTALL: &str = "
    sudo install --group dtr-lb --mode 640 $BOOK_ROOT/packaging/lb.json /etc/dtr-lb/lb.json
    sudo systemctl start dtr-lb";
const IS_ACTIVE: &str = "systemctl is-active dtr-lb || docker ps --quiet | grep .";
const LOGS: &str = "cat /run/machine/journal /run/machine/containers/*/log 2>/dev/null || true";
/// Each fails where its balancer does not end well.
const STOP: &str = "
    systemctl stop dtr-lb
    docker ps --quiet | xargs --no-run-if-empty docker stop";
