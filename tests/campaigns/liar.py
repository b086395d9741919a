"""A program that misbehaves: what a campaign must notice. `liar.py LIE PROGRAM ARGS...` runs the real program where the lie
needs its work.

panic, die, silent, hang: how it ends. agree: exit code 0 and nothing done. refuse: an error in words for everything.
drift: the program's work, then a byte of its result is changed. lose: then a result is gone. nan: then a number of metrics.csv
is none. fat: more memory than is right. escape: orders to a terminal. both: the lock is taken away before it starts.
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

LIES = {"all": ["panic", "die", "silent", "hang"]}


def command(lie, program):
    """The command that lies for `program`."""
    return [sys.executable, str(pathlib.Path(__file__).resolve()), lie, str(program)]


def folder_of(args):
    """The run folder that a command line names."""
    for name in ("--out", "--resume"):
        if name in args:
            return pathlib.Path(args[args.index(name) + 1])
    return None


def results(args):
    folder = folder_of(args)
    if folder and folder.is_dir():
        return [p for p in (folder / "metrics.csv", folder / "genotype.txt") if p.is_file() and p.stat().st_size]
    return []


def work(program, args, change):
    """The program's own work, whose output goes through `change`."""
    done = subprocess.run([program, *args], stdin=None, stdout=subprocess.PIPE)
    sys.stdout.buffer.write(change(done.stdout))
    return done.returncode


def drifted(data):
    for at in range(len(data) - 1, -1, -1):
        if 0x30 <= data[at] <= 0x38:
            return data[:at] + bytes([data[at] + 1]) + data[at + 1:]
    return data + b"9"


def drift(program, args):
    code = work(program, args, drifted)
    for path in results(args):
        lines = path.read_bytes().split(b"\n")
        lines[-2] = b",".join([*lines[-2].split(b",")[:3], *map(drifted, lines[-2].split(b",")[3:])])
        path.write_bytes(b"\n".join(lines))
    return code


def lose(program, args):
    code = work(program, args, bytes)
    for path in results(args):
        path.unlink()
    return code


def nan(program, args):
    code = work(program, args, lambda out: out + b"NaN\n")
    for path in results(args)[:1]:
        path.write_bytes(path.read_bytes() + b",9,0,NaN,0.5,0.1,40,0.1\n")
    return code


def both(program, args):
    folder = folder_of(args)
    if folder and (folder / "lock").exists():
        (folder / "lock").unlink()
    return work(program, args, bytes)


def main(lie, program, args):
    if lie == "panic":
        sys.stderr.write("thread 'main' panicked at src/main.rs:1:1:\nindex out of bounds\n")
        return 101
    if lie == "die":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
    if lie == "hang":
        time.sleep(60)
    if lie == "refuse":
        sys.stderr.write("error: got something, expected something else\n")
        return 1
    if lie == "escape":
        sys.stderr.write("error: \x1b]0;owned\x07 is no name\n")
        sys.stdout.write("\x1b]0;owned\x07\n")
        return 1
    if lie == "fat":
        held = bytearray(os.urandom(1 << 20) * 80)
        return work(program, args, bytes) + 0 * len(held)
    if lie in ("drift", "lose", "nan", "both"):
        return globals()[lie](program, args)
    return {"silent": 1, "agree": 0}[lie]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
