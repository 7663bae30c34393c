"""Executes the rest of the command line with PTRACE_SEIZE refused (EIO), to itself and to all that it starts.

strace then attaches by PTRACE_TRACEME. With PTRACE_SEIZE it gives up when a thread that is about to take a signal ends
with its process: it takes the failed PTRACE_GETSIGINFO for a group stop and asks for PTRACE_LISTEN, which the kernel
refuses in the exit stop ("ptrace(PTRACE_LISTEN,pid:..,sig:0): Input/output error"). Go's runtime sends its threads SIGURG
all the time, so a script that calls the engine's client meets that now and then. Without PTRACE_SEIZE nothing asks for
PTRACE_LISTEN.

The filter is a classic BPF program over struct seccomp_data (number, architecture, address, arguments); see seccomp(2).
no_new_privs, which it needs, is what strace --seccomp-bpf sets anyway.
"""

import ctypes
import os
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
ALLOW, ERRNO, EIO = 0x7FFF0000, 0x00050000, 5
PTRACE_SEIZE = 0x4206
# Number of ptrace(2). On another machine strace has to do as it is.
PTRACE = {"x86_64": 101, "aarch64": 117}.get(platform.machine())


def refuse_seize():
    filters = [
        (LOAD, 0, 0, 0),  # the call's number
        (EQUAL, 0, 3, PTRACE),
        (LOAD, 0, 0, 16),  # the first argument, its lower half
        (EQUAL, 0, 1, PTRACE_SEIZE),
        (RETURN, 0, 0, ERRNO | EIO),
        (RETURN, 0, 0, ALLOW),
    ]
    code = b"".join(struct.pack("=HBBI", *one) for one in filters)
    code = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(filters), ctypes.addressof(code))
    program = ctypes.create_string_buffer(program, len(program))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)):
        if prctl(*arguments) != 0:
            sys.exit(f"prctl{arguments[:2]}: {os.strerror(ctypes.get_errno())}")


if PTRACE is not None:
    refuse_seize()
os.execvp(sys.argv[1], sys.argv[1:])
