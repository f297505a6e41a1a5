"""The newest HAProxy and NGINX that Debian has, beside those that are installed.

apt-get downloads them and every library they need from Debian's unstable and
experimental distributions, with lists and caches of its own, and dpkg unpacks them into
the target folder. They run through their own dynamic loader with their own libraries:
nothing of the system is changed, and no right to change it is needed. Delete the folder
to have newer ones.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = ("haproxy", "nginx")


@dataclass(frozen=True)
class Peer:
    argv: list
    root: Path


class NotHere(Exception):
    """Why there is none."""


def newest(name, folder):
    """Fetched once. Raises NotHere."""
    root = folder / name
    if not root.is_dir():
        _fetch(name, folder)
    loader = next(iter(sorted(root.glob("usr/lib/*/ld-linux*.so.*"))), None)
    binary = root / "usr/sbin" / name
    if not loader or not binary.is_file():
        raise NotHere(f"{root} has no loader or no {name}; delete it to have it fetched again")
    return Peer([loader, "--library-path", loader.parent, binary], root)


def _fetch(name, folder):
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            raise NotHere(f"there is no {tool}, with which it is fetched")
    apt = folder / f"{name}.apt"
    shutil.rmtree(apt, ignore_errors=True)
    for below in ("lists/partial", "cache/archives/partial"):
        (apt / below).mkdir(parents=True)
    (apt / "status").touch()  # As if nothing were installed, so that every library comes along.
    key = f"[signed-by={KEYRING}]" if KEYRING.is_file() else ""
    suites = ("sid", "experimental") if name in EXPERIMENTAL else ("sid",)
    (apt / "sources.list").write_text("".join(f"deb {key} {_mirror()} {suite} main\n" for suite in suites))
    options = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State": apt,
        "Dir::State::Status": apt / "status",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "",
        "APT::Install-Recommends": "0",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "1",
    }
    apt_get = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    print(f"fetching the newest {name} from Debian's {suites[-1]}, once", flush=True)
    _run([*apt_get, "update"])
    _run([*apt_get, "install", "--download-only", "--yes", f"--target-release={suites[-1]}", *PACKAGES[name]])
    part = folder / f"{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        _run(["dpkg", "-x", package, part])
    part.rename(folder / name)
    shutil.rmtree(apt)


def _mirror():
    """Debian's mirror, as this system's apt has it."""
    form = "$(ORIGIN) $(LABEL) $(REPO_URI)"
    done = subprocess.run(["apt-get", "indextargets", "--format", form], capture_output=True, text=True)
    ours = (line.split()[-1] for line in done.stdout.splitlines() if line.startswith("Debian Debian http"))
    return next(ours, DEFAULT_MIRROR)


def _run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=FETCH_LIMIT)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it did not say why"])[-1]
        raise NotHere(f"{command[0]} failed: {reason}")


PACKAGES = {"haproxy": ["haproxy"], "nginx": ["nginx", "libnginx-mod-stream"]}
# Where a newer one is than in unstable.
EXPERIMENTAL = ("haproxy",)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEFAULT_MIRROR = "http://deb.debian.org/debian"
FETCH_LIMIT = 300
