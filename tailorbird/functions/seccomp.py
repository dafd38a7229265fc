"""A seccomp filter as bubblewrap takes it: system calls that a function has no business making.

A deny list, so that what a new libc or interpreter asks for keeps working. Denied calls answer
EPERM; clone3 answers ENOSYS, because its flags lie in memory a filter cannot read and libc then
falls back to clone. Calls of another architecture (32 bit, x32) answer ENOSYS as a whole.
Source: seccomp(2), linux/audit.h, linux/filter.h; the tables of syscalls(2).
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

# linux/filter.h
LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
IF_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K
# linux/seccomp.h; offsets into struct seccomp_data
ALLOW = 0x7FFF0000
ERRNO = 0x00050000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
X32_BIT = 0x40000000
NAMESPACES = 0x7E020080  # the CLONE_NEW* flags: ns, cgroup, uts, ipc, user, pid, net, time
NOT_ALLOWED = ERRNO | errno.EPERM
NOT_THERE = ERRNO | errno.ENOSYS


@dataclass(frozen=True)
class Machine:
    """An architecture's name in the kernel's audit and its numbers of the denied calls."""

    audit: int
    denied: dict[str, int]
    clone: int
    clone3: int = 435
    x32: bool = False


_COMMON = {  # the same number everywhere since Linux 5
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
}
MACHINES = {
    "x86_64": Machine(
        0xC000003E,
        {
            "ptrace": 101, "syslog": 103, "pivot_root": 155, "chroot": 161,
            "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167,
            "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171,
            "init_module": 175, "delete_module": 176, "quotactl": 179, "clock_settime": 227,
            "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272,
            "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308,
            "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313,
            "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, **_COMMON,
        },
        clone=56,
        x32=True,
    ),
    "aarch64": Machine(
        0xC00000B7,
        {
            "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "quotactl": 60, "acct": 89,
            "unshare": 97, "kexec_load": 104, "init_module": 105,
            "delete_module": 106, "clock_settime": 112, "syslog": 116, "ptrace": 117,
            "reboot": 142, "sethostname": 161, "setdomainname": 162, "settimeofday": 170,
            "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224, "swapoff": 225,
            "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268,
            "process_vm_readv": 270, "process_vm_writev": 271, "finit_module": 273,
            "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294, **_COMMON,
        },
        clone=220,
    ),
}  # fmt: skip


def program(machine: str | None = None) -> bytes | None:
    """The filter for this machine as struct sock_filter, None when its numbers are not known."""
    known = MACHINES.get(machine or platform.machine())
    return None if known is None else b"".join(_instructions(known))


def _instructions(machine: Machine) -> list[bytes]:
    """Jumps are counted in instructions from the next one."""
    checks = [
        _op(LOAD, ARCHITECTURE),
        _op(IF_EQUAL, machine.audit, yes=1),
        _op(RETURN, NOT_THERE),
        _op(LOAD, NUMBER),
    ]
    if machine.x32:
        checks += [_op(IF_AT_LEAST, X32_BIT, no=1), _op(RETURN, NOT_THERE)]
    checks += [_op(IF_EQUAL, machine.clone3, no=1), _op(RETURN, NOT_THERE)]
    for number in sorted(machine.denied.values()):
        checks += [_op(IF_EQUAL, number, no=1), _op(RETURN, NOT_ALLOWED)]
    return [
        *checks,
        _op(IF_EQUAL, machine.clone, no=3),
        _op(LOAD, FIRST_ARGUMENT),
        _op(IF_ANY_BIT, NAMESPACES, no=1),
        _op(RETURN, NOT_ALLOWED),
        _op(RETURN, ALLOW),
    ]


def _op(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)
