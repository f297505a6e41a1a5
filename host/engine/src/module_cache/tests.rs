#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;
use crate::AbiVersion;

/// A folder, an engine and a module.
struct World {
    folder: tempfile::TempDir,
    engine: Engine,
}

impl World {
    fn new() -> World {
        World {
            folder: tempfile::tempdir().unwrap(),
            engine: Engine::new().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("modules")
    }

    fn load(&self) -> CacheOutcome {
        self.load_guest(GUEST)
    }

    fn load_guest(&self, guest: &str) -> CacheOutcome {
        let (module, outcome) =
            Module::from_cache(&self.engine, guest.as_bytes(), &self.path()).unwrap();
        assert_eq!(module.abi(), AbiVersion::V0_2_1);
        outcome
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.path()).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }

    /// The only file.
    fn file(&self) -> PathBuf {
        let mut files = self.files();
        assert_eq!(files.len(), 1, "one file, whole: {files:?}");
        files.remove(0)
    }
}

#[test]
fn a_module_is_found_again() {
    let world = World::new();
    assert!(matches!(world.load(), CacheOutcome::Kept));
    assert!(matches!(world.load(), CacheOutcome::Found));
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(world.path()), 0o700);
    assert_eq!(mode(world.file()), 0o600);
    let other = world.load_guest(OTHER_GUEST);
    assert!(matches!(other, CacheOutcome::Kept), "another module");
    assert_eq!(world.files().len(), 2);
}

#[test]
fn what_is_found_is_what_is_loaded() {
    let world = World::new();
    world.load();
    let old = r#"(module (func (export "proxy_abi_version_0_1_0")))"#;
    let code = Module::parse(&world.engine, old.as_bytes()).unwrap();
    let code = code.serialize().unwrap();
    let seal = key(&world.engine, GUEST.as_bytes()).seal(&code);
    fs::write(world.file(), [seal.as_ref(), &code].concat()).unwrap();
    let module = Module::cached(&world.engine, GUEST.as_bytes(), &world.path());
    assert_eq!(module.unwrap().abi(), AbiVersion::V0_1_0);
}

#[test]
fn other_settings_have_another_name() {
    let world = World::new();
    let mut config = wasmtime::Config::new();
    let name = |engine: &wasmtime::Engine| {
        let mut hasher = Sha256Hasher(digest::Context::new(&digest::SHA256));
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Key(hasher.0.finish()).name()
    };
    let without = name(&wasmtime::Engine::new(&config).unwrap());
    let with = name(&wasmtime::Engine::new(config.epoch_interruption(true)).unwrap());
    assert_ne!(without, with);

    // Nor is code of another engine taken under the right name.
    let other = wasmtime::Engine::new(config.epoch_interruption(false)).unwrap();
    let code = other.precompile_module(GUEST.as_bytes()).unwrap();
    let key = key(&world.engine, GUEST.as_bytes());
    fs::create_dir(world.path()).unwrap();
    let file = world.path().join(key.name());
    fs::write(&file, [key.seal(&code).as_ref(), &code].concat()).unwrap();
    let outcome = world.load();
    let CacheOutcome::Replaced(error) = outcome else {
        panic!("{outcome:?}");
    };
    let error = error.to_string();
    assert!(error.contains("epoch interruption"), "{error}");
    assert!(matches!(world.load(), CacheOutcome::Found));
}

#[test]
fn a_file_that_is_not_trusted_is_replaced() {
    let cut = |file: &Path| {
        let code = fs::read(file).unwrap();
        fs::write(file, &code[..code.len() / 2]).unwrap();
    };
    let flip = |file: &Path| {
        let mut code = fs::read(file).unwrap();
        let middle = code.len() / 2;
        code[middle] ^= 1;
        fs::write(file, code).unwrap();
    };
    let link = |file: &Path| {
        let elsewhere = file.with_extension("elsewhere");
        fs::rename(file, &elsewhere).unwrap();
        symlink(elsewhere, file).unwrap();
    };
    let mut cases: Vec<(Spoil<'_>, &str)> = vec![
        (&cut, "it is damaged"),
        (&flip, "it is damaged"),
        (&|file| fs::write(file, "").unwrap(), "it is cut short"),
        (&link, "it is a symbolic link"),
        (&|file| set_mode(file, 0o620), "others than its owner"),
        (&|file| set_mode(file, 0o602), "(mode 0602)"),
    ];
    if is_root() {
        cases.push((&give_away, "belongs to user 65534"));
    }
    for (spoil, expected) in cases {
        let world = World::new();
        world.load();
        let file = world.file();
        spoil(&file);
        let outcome = world.load();
        let CacheOutcome::Replaced(error) = outcome else {
            panic!("{outcome:?}, but {expected}");
        };
        let error = error.to_string();
        assert!(error.contains(expected), "{error}");
        let name = file.display().to_string();
        assert!(error.contains(&name), "{error}");
        assert!(matches!(world.load(), CacheOutcome::Found), "{expected}");
    }
}

#[test]
fn nothing_of_a_folder_that_is_not_trusted_is_used() {
    let mut cases: Vec<(Spoil<'_>, &str)> =
        vec![(&|folder| set_mode(folder, 0o770), "(mode 0770)")];
    if is_root() {
        cases.push((&give_away, "belongs to user 65534"));
    }
    for (spoil, expected) in cases {
        let world = World::new();
        world.load();
        spoil(&world.path());
        let outcome = world.load();
        let CacheOutcome::NotKept(error) = outcome else {
            panic!("{outcome:?}, but {expected}");
        };
        let error = error.to_string();
        assert!(error.contains(expected), "{error}");
        let other = world.load_guest(OTHER_GUEST);
        assert!(matches!(other, CacheOutcome::NotKept(_)), "{other:?}");
        assert_eq!(world.files().len(), 1, "nothing is written there");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_no_harm() {
    let world = World::new();
    fs::write(world.path(), "a file").unwrap();
    let outcome = world.load();
    let CacheOutcome::NotKept(error) = outcome else {
        panic!("{outcome:?}");
    };
    let name = world.path().display().to_string();
    assert!(error.to_string().starts_with(&name), "{error}");
}

/// As in a folder where nothing can be written: a folder is in the way of the file.
#[test]
fn a_file_that_cannot_be_written_is_no_harm() {
    let world = World::new();
    let name = key(&world.engine, GUEST.as_bytes()).name();
    fs::create_dir_all(world.path().join(&name).join("full")).unwrap();
    let outcome = world.load();
    assert!(matches!(outcome, CacheOutcome::NotKept(_)), "{outcome:?}");
    assert_eq!(world.files().len(), 1, "no part of a file is left");
}

#[test]
fn processes_that_compile_at_once_keep_one_whole_file() {
    let world = World::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // An engine each, as processes have.
                let engine = Engine::new().unwrap();
                let module = Module::cached(&engine, GUEST.as_bytes(), &world.path());
                assert_eq!(module.unwrap().abi(), AbiVersion::V0_2_1);
            });
        }
    });
    world.file();
    assert!(matches!(world.load(), CacheOutcome::Found));
}

#[test]
fn of_old_files_only_compiled_modules_out_of_use_are_removed() {
    let world = World::new();
    world.load();
    let used = world.file();
    for name in ["a.cwasm", "b.part", "notes.txt"] {
        fs::write(world.path().join(name), "").unwrap();
    }
    let long_ago = SystemTime::now() - Duration::from_secs(30 * 24 * 3600);
    for file in world.files() {
        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    assert!(matches!(world.load(), CacheOutcome::Found));
    world.load_guest(OTHER_GUEST);
    let files = world.files();
    assert_eq!(files.len(), 3, "two modules and notes.txt: {files:?}");
    assert!(files.contains(&used), "{files:?}");
    assert!(files.contains(&world.path().join("notes.txt")), "{files:?}");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn give_away(path: &Path) {
    chown(path, Some(65534), None).unwrap();
}

/// Only root can give files away.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What is done to a file or folder.
type Spoil<'a> = &'a dyn Fn(&Path);

const GUEST: &str = r#"(module (func (export "proxy_abi_version_0_2_1")))"#;
const OTHER_GUEST: &str = r#"(module (memory 1) (func (export "proxy_abi_version_0_2_1")))"#;
