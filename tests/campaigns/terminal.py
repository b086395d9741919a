"""The prompt at a terminal: random keys, words, Tab in odd places, letters of several bytes, orders, narrow and wide windows, odd history
files. Right: it goes on, and leaves with exit code 0 or 130 at the end of input."""
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

from harness import Campaign, Wrong, remove

WORDS = ['let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });', "net.", "net.sp", "é", "\U0001f600", "\u0301", "\u202e", "data().", 'import "nas/', ":run ",
         ":save ", "?", "??nas/", "#{ ep", "`${", '"', "/*", "plot([1, 2", 'space("', "fn f(", "a.b.c", "_", "::", "nas/is_darts::", "../", "/", "let é = 1; é.", "[1].", "y" * 300,
         "(" * 70, "中文", "settings(#{", "method::", ":"]
KEYS = [b"\t", b"\t\t", b"\x1b[D", b"\x1b[C", b"\x1b[A", b"\x1b[B", b"\x1b[H", b"\x1b[F", b"\x7f", b"\x04", b"\x0b", b"\x15", b"\x17", b"\x19", b"\x12", b"\x07", b"\x1b", b"\x1bd",
        b"\x1bb", b"\x1bf", b"\x14", b"\x1f", b"\x16", b"\x00", b"\x1b[200~pasted\nlines\x1b[201~", b"\r", b"\n", b"\x1b\r", b"\x1b[99;99R", b"\xff", b"\xc3",
        b"\x1b[<0;1;1M", b"\x18\x05"]
HISTORIES = {
    "none": lambda p: None, "bytes": lambda p: p.write_bytes(os.urandom(5000)), "a long line": lambda p: p.write_bytes(b"#V2\n" + b"x" * 5_000_000 + b"\n"),
    "many lines": lambda p: p.write_bytes(b"#V2\n" + b"1 + 1\n" * 100_000), "a folder": lambda p: p.mkdir(), "a dangling link": lambda p: p.symlink_to("/nonexistent/x"),
    "/dev/full": lambda p: p.symlink_to("/dev/full"), "/dev/zero": lambda p: p.symlink_to("/dev/zero"), "a pipe": os.mkfifo,
    "orders": lambda p: p.write_bytes(b"#V2\n\x1b]0;owned\x07\n"),
}


class Terminal(Campaign):
    name, short, long = "terminal", 10, 400
    lies = ("agree",)

    def attempt(self, rng, number):
        history, columns = rng.choice(list(HISTORIES)), rng.choice([80, 80, 20, 5, 1, 300])
        keys = [rng.choice(WORDS).encode() if rng.random() < 0.4 else rng.choice(KEYS) if rng.random() < 0.85 else bytes([rng.randrange(256)])
                for _ in range(rng.randint(5, 40))]
        self.did = f"history {history}, {columns} columns: {[key.decode('latin1') for key in keys]}"
        remove(self.work / "history")
        HISTORIES[history](self.work / "history")
        self.session(keys, columns)

    def session(self, keys, columns):
        child, self.screen = pty.fork()
        if child == 0:
            os.chdir(self.work)
            command = [*self.host.command, "--quiet"]
            os.execve(command[0], command, self.host.environment(TERM="xterm", ISDARTS_HISTORY=str(self.work / "history")))
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.seen, ended = b"", False
        try:
            for _ in range(50):
                if b"\x1b[?2004h" in self.seen or not self.read(0.1):
                    break
            for key in keys:
                if not self.send(key, 0.01):
                    break
            end = time.time() + 20 * self.host.patience
            # Leave as a person would: end what runs (what was typed behind it is not read), empty the line, end the input.
            while time.time() < end and self.send(b"\x03", 0.1) and self.send(b"\x15\x04", 0.1):
                pass
            ended = time.time() < end
        finally:
            if not ended:
                os.kill(child, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            os.close(self.screen)
        if not ended:
            raise Wrong(f"hang: {self.seen[-200:]}")
        if b"panicked at" in self.seen or b"bug of isdarts-host" in self.seen or code not in (0, 1, 130):
            raise Wrong(f"exit code {code}: {self.seen[-300:]}")
        if b"\x1b[?2004h" not in self.seen:
            raise Wrong(f"no prompt came: {self.seen[-200:]}")

    def send(self, key, wait):
        try:
            os.write(self.screen, key)
        except OSError:
            return False
        return self.read(wait)

    def read(self, wait):
        """What comes within so many seconds; whether more may come."""
        while select.select([self.screen], [], [], wait)[0]:
            try:
                data = os.read(self.screen, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.seen += data
        return True
