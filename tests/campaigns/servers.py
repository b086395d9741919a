"""`data get` from servers that lie: errors, cut, endless, slow and silent bodies, loops, other archives; and archives that lie there
already, with links and paths that lead out. Right: an error in words within the program's own time limit, nothing outside the folder,
no disk filled, and the next try against an honest error is not worse."""
import gzip
import http.server
import io
import random
import socketserver
import tarfile
import threading
import time

from harness import Campaign, Wrong, remove

FOLDER = "cifar-10-batches-bin"


class Liar(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    how, rng = "missing", random.Random(0)

    def log_message(self, *_):
        pass

    def head(self, code, reason=None, **headers):
        self.send_response(code, reason)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def do_GET(self):
        try:
            getattr(self, Liar.how)()
        except OSError:
            pass  # who asked has gone

    do_HEAD = do_GET

    def body(self, data, **headers):
        self.head(200, **headers)
        self.wfile.write(data)
        self.wfile.flush()

    def missing(self): self.head(404, Content_Length=0)
    def error(self): self.head(503, Content_Length=0)
    def teapot(self): self.head(418, "\x1b[2J", Content_Length=0)
    def nothing(self): self.body(b"", Content_Length=0)
    def short(self): self.body(b"x" * 10, Content_Length=1000); self.close_connection = True
    def other(self): data = self.rng.randbytes(self.rng.randrange(1, 100_000)); self.body(data, Content_Length=len(data))
    def packed(self): data = gzip.compress(self.rng.randbytes(5000)); self.body(data, Content_Length=len(data))
    def encoded(self): data = gzip.compress(bytes(1 << 28), 1); self.body(data, Content_Length=len(data), Content_Encoding="gzip")
    def stalls(self): self.body(b"x" * 10, Content_Length=1000); time.sleep(120)
    def silent(self): time.sleep(120)
    def longer(self): self.head(200, Content_Length=300 << 20); [self.wfile.write(bytes(1 << 20)) for _ in range(300)]
    def endless(self): self.head(200); [self.wfile.write(bytes(1 << 20)) for _ in range(2000)]
    def negative(self): self.body(b"x" * 10, Content_Length=-1)
    def huge(self): self.body(b"x" * 10, Content_Length=2**64); self.close_connection = True
    def loop(self): self.head(302, Location=self.path, Content_Length=0)
    def file(self): self.head(302, Location="file:///etc/passwd", Content_Length=0)
    def part(self): self.head(206, Content_Range="bytes 0-9/10", Content_Length=10); self.wfile.write(b"x" * 10)
    def headers_(self): self.head(200, **{f"X_{i}": "y" * 100 for i in range(20_000)})
    def garbage(self): self.wfile.write(self.rng.randbytes(2000)); self.close_connection = True


# In the order of their patience: those that are waited for come last, and seldom.
LIES = ["missing", "error", "teapot", "nothing", "short", "other", "packed", "encoded", "longer", "endless", "negative", "huge", "loop", "file", "part",
        "headers_", "garbage"]
SLOW = ["stalls", "silent"]
DATA = ["cifar10", "mnist", "fashion-mnist"]


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


def member(tar, name, data=b"x", kind=tarfile.REGTYPE, to=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, to, len(data) if kind == tarfile.REGTYPE else 0
    tar.addfile(entry, io.BytesIO(data) if kind == tarfile.REGTYPE else None)


# Members of an archive: name, bytes, kind, where a link leads.
ARCHIVES = {
    "..": [(f"{FOLDER}/../../outside/x",)], "absolute": [("OUTSIDE/x",)], "the folder as a file": [(FOLDER,)], "empty": [],
    "a link, then a file": [(f"{FOLDER}/l", b"", tarfile.SYMTYPE, "OUTSIDE"), (f"{FOLDER}/l/x",)], "another folder": [("elsewhere/x",)],
    "a hard link": [(f"{FOLDER}/h", b"", tarfile.LNKTYPE, "OUTSIDE/precious")], "the folder a link": [(FOLDER, b"", tarfile.SYMTYPE, "OUTSIDE"), (f"{FOLDER}/x",)],
    "a device": [(f"{FOLDER}/d", b"", tarfile.CHRTYPE)], "a pipe": [(f"{FOLDER}/f", b"", tarfile.FIFOTYPE)], "a file below a file": [(f"{FOLDER}/a",), (f"{FOLDER}/a/b",)],
    "a long name": [(f"{FOLDER}/" + "y" * 5000,)], "twice": [(f"{FOLDER}/a",), (f"{FOLDER}/a", b"other")], "dots": [(f"./{FOLDER}/./data_batch_1.bin",)],
    "zeros": [(f"{FOLDER}/data_batch_1.bin", bytes(200_000_000))],
}


class Servers(Campaign):
    name, short, long = "servers", 24, 260
    lies = ("agree", "escape")

    def prepare(self):
        self.server = Server(("127.0.0.1", 0), Liar)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def attempt(self, rng, number):
        self.outside = self.fresh("outside")
        (self.outside / "precious").write_text("precious")
        data, address = rng.choice(DATA), f"http://127.0.0.1:{self.server.server_port}/"
        folder = self.fresh("get")
        if number % 2:
            data, what = "cifar10", rng.choice([*ARCHIVES, "cut", "no gzip", "nothing"])
            self.did = f"an archive, {what}"
            self.put(folder / "cifar-10-binary.tar.gz", what, rng)
            Liar.how = "missing"
        else:
            Liar.how = LIES[number // 2 % len(LIES)] if number % 100 != 98 else rng.choice(SLOW)
            Liar.rng = rng
            self.did = f"{data} from a server that is {Liar.how}"
        args = ["data", "get", data, "--dir", ".", "--from", address]
        found = self.host.judged(args, folder, seconds=90, file_mb=1000)
        if found.code == 0:
            raise Wrong("taken")
        if sorted(p.name for p in self.outside.iterdir()) != ["precious"] or (self.outside / "precious").read_text() != "precious":
            raise Wrong("wrote outside the folder")
        left = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.name != "cifar-10-binary.tar.gz") >> 20
        if left > 50:
            raise Wrong(f"left {left} MB")
        if Liar.how in SLOW:
            return
        Liar.how = "missing"
        again = self.host.judged(args, folder, seconds=90)
        if again.code == 0:
            raise Wrong("taken at the second try")

    def put(self, path, what, rng):
        if what in ("no gzip", "nothing"):
            path.write_bytes(b"hello" if what == "no gzip" else gzip.compress(b""))
            return
        members = ARCHIVES.get(what, [(f"{FOLDER}/data_batch_1.bin", rng.randbytes(100_000))])
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            for name, *more in members:
                more = [part.replace("OUTSIDE", str(self.outside)) if isinstance(part, str) else part for part in more]
                member(tar, name.replace("OUTSIDE", str(self.outside)), *more)
        if what == "cut":
            path.write_bytes(path.read_bytes()[:50_000])
