"""A network of the benchmark's own, with nothing in it but loopback.

In the machine's own one each connection, and for two minutes after its end, takes a place
in the table of the firewall's connection tracking, where there is one; once that is full
packets are dropped, and proxies seem to fail.
"""

import ctypes
import fcntl
import os
import socket
import struct
import time
from pathlib import Path


def enter_own():
    """What stands in the way, if anything does: then all stays in the machine's network.

    Root may make one; anybody else needs a user namespace around it, if the system lets
    them have one. This process must have one thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWNET if user == 0 else CLONE_NEWNET | CLONE_NEWUSER):
        return os.strerror(ctypes.get_errno())
    if user != 0:  # Everybody is who they were.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket() as one:
        request = struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(one, SIOCSIFFLAGS, request)
    return None


def wait_for_room(progress):
    """Where connections are tracked, waits until half of the table is free."""
    try:
        most = int(TRACKED_MOST.read_text())
        end = time.monotonic() + 130  # What has ended is forgotten after 120 s.
        while int(TRACKED.read_text()) > most // 2 and time.monotonic() < end:
            progress("waiting until the firewall has forgotten the last connections")
            time.sleep(10)
    except FileNotFoundError:
        pass


# Of linux/sched.h, linux/if.h and linux/sockios.h.
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
IFF_UP, IFF_RUNNING, SIOCSIFFLAGS = 0x1, 0x40, 0x8914
TRACKED = Path("/proc/sys/net/netfilter/nf_conntrack_count")
TRACKED_MOST = Path("/proc/sys/net/netfilter/nf_conntrack_max")
