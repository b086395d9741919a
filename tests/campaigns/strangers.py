"""Scripts and run folders of strangers: names and links that lead out, the program's own files, orders to a terminal, texts, arrays, calls,
tensors and networks without bound. Right: an error in words; nothing outside the folder is read or written; memory stays bounded."""
import os
import shutil

from harness import Campaign, SEARCH, Wrong, remove

NET = 'let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });\n'
ALPHA = NET + "let alpha = architecture_parameters(net, #{});\n"
NAMES = ["OUTSIDE/precious", "../outside/new", "../../outside/new", "x/../../outside/new", "OUTSIDE/new", "a\\x00b", ".", "..", "checkpoint/", "", "x/" * 300, "y" * 5000,
         "manifest.json", "Manifest.json", "metrics.csv", "./metrics.csv", "checkpoint/loop-000/state.safetensors", "genotype.txt", "lock", "iim.csv", "result.json", "script/s.rhai"]
ACTS = ['write_text("{}", "mine")', 'write_csv("{}", ["a"], [["mine"]])', 'write_figure("{}", #{{ series: [#{ name: "mine", points: [[1, 2]] }] })',
        NET + 'net.save("{}")', NET + 'net.load("{}")', NET + 'net.save(run_file("{}"))', 'import "{}" as m', 'print(genotype("{}"))', 'print(data("{}"))',
        'train_genotype("{}", data(), #{ epochs: 1 })']
LINKS = ["metrics.csv", "iim.csv", "result.json", "events.out.tfevents.0.isdarts-host", "lock", "manifest.json.tmp", "genotype.txt.tmp", "genotype.txt", "w.safetensors", "checkpoint/loop-000/state.safetensors.tmp",
         "checkpoint/loop-000/state.safetensors", "checkpoint", "script", "train-000"]
ORDERS = "\\x1b]0;owned\\x07\\x1b[2J"
SAYS = ['throw "{}";', 'assert(false, "{}");', 'label("{}"); report(genotype(9930));', 'settings(#{ "{}": 1 });', 'import "{}" as m;', 'search_space(#{ ops: ["{}"] });',
        'genotype("|{}~0|");', 'data("{}");', 'run_state(#{})["{}"];', 'note("{}"); throw 1;', 'supernet("{}", #{});', 'print(nothing_{});', '"{}".nothing();', 'write_text("{}", "x");',
        'args("{}");', 'net_of("{}")', 'fixed("{}", 1);', 'tensor(["{}"]);']
BOUNDS = [
    'let s = "x"; loop { s += s; }', '"x".pad(1000000000000, "y");', "[].pad(1000000000000, 0);", "blob(1000000000000);", "let a = [1]; loop { a += a; }",
    "let a = []; for i in 0..3000 { a = [a]; } print(1);", "let a = []; for i in 0..3000 { let b = []; b.push(a); a = b; } print(a);",
    "let a = #{}; for i in 0..3000 { a = #{ a: a }; } print(1);", "let a = []; for i in 0..3000 { a = [a]; } settings(#{ epochs: 1, a: a });",
    "let a = []; for i in 0..3000 { a = [a]; } run_state(#{ a: a });", "let a = [1]; for i in 0..3000 { a = [a]; } tensor(a);",
    "let f = || 1; for i in 0..20000 { let g = f; f = || g.call(); } print(f.call());", 'let f = Fn("print"); for i in 0..30000 { f = f.curry(f); } print(1);',
    "fn f(n) { f(n + 1) } f(0);", "let f = |f, n| f.call(f, n + 1); f.call(f, 0);", 'fn f() { eval("f()") } f();', "fn f(x) { [1].map(|y| f(y)) } f(1);",
    "fn f() { [2, 1].sort(|a, b| { f(); 1 }) } f();", "let x = " + "(" * 3000 + "1" + ")" * 3000 + ";", "{" * 3000 + "}" * 3000, "[" * 3000 + "]" * 3000,
    "if false {}" + " else if false {}" * 20000, "let x = 1" + " + 1" * 100000 + ";", "let x = #{}; x" + ".a" * 20000 + ";", "`${" * 200 + "1" + "}`" * 200,
    "fn f(n) { " + "(" * 28 + "f(n + 1)" + ")" * 28 + " } f(0);", "fn f(n) { " + "[" * 19 + "f(n + 1)" + "]" * 19 + " } f(0);", "fn f(n) { " + "for i in [1] { " * 17 + "f(n + 1)" + " }" * 17 + " } f(0);",
    "fn f(n) { " + "switch 1 { 1 => " * 28 + "f(n + 1)" + " }" * 28 + " } f(0);", "fn f(n) { " + "try { " * 17 + "f(n + 1)" + " } catch { }" * 17 + " } f(0);", "fn f(n) { " + "#{a: " * 18 + "f(n + 1)" + "}" * 18 + " } f(0);",
    ALPHA + "let t = alpha.values[0]; for i in 0..300000 { t = t + 1.0; } print(1);", ALPHA + "let t = alpha.values[0].sum(); for i in 0..100000 { t = t + 1.0; } alpha.step(t);",
    "let a = [1.0]; for i in 0..16 { a += a; } let r = a.map(|x| [x]); let t = tensor(r) + tensor(a);", 'supernet("darts", #{ channels: 1000000 });',
    'supernet("darts", #{ channels: 1000000000000000000 });', 'supernet("nas-bench-201", #{ channels: 1, cells: 1000000000 });',
    'search_space(#{ ops: ["skip_connect"], nodes: 1000000 });', 'search_space(#{ ops: ["skip_connect"], nodes: 1000000000000000000 });',
    'let s = search_space(#{ ops: ["skip_connect"], nodes: 3000 }); supernet(s, #{ channels: 2, cells: 1 });', 'train_genotype("DARTS_V2", data(), #{ cells: 1000000, channels: 4, epochs: 1 });',
    'let p = []; for i in 0..1000000 { p.push(#{ series: [] }); } write_figure("f.svg", #{ panels: p });', 'parse_json("[".pad(100000, "["));', "sleep(-1);", "epochs(-1);",
    'write_figure("f.svg", #{ series: [#{ name: "a", points: [[1e308, -1e308], [-1e308, 1e308], [1e-320, 5]] }] });',
    'write_figure("f.svg", #{ log_x: true, log_y: true, series: [#{ name: "a", points: [[5e-324, 5e-324], [1e308, 1e308]] }] });', "random_below(0);", "1 << 9223372036854775807;",
    NET + "net.train_epoch(data().train.take(8), #{ batch_size: 9223372036854775807 });", NET + "net.measure_iim(data().train, 9223372036854775807);", 'import "s" as s;',
    'let all = []; for i in 0..400 { all.push(supernet("darts", #{ channels: 64, cells: 2 })); }',
]


class Strangers(Campaign):
    name, short, long = "strangers", 70, 900
    lies = ("agree", "escape")

    def prepare(self):
        self.host.judged([*SEARCH, "--out", "sound"], self.work, code=0)

    def attempt(self, rng, number):
        self.outside, self.folder = self.fresh("outside"), self.fresh("inside")
        (self.outside / "precious").write_text("precious")
        (self.outside / "secret.rhai").write_text('fn f() { "secret" }\n')
        (self.names, self.links, self.orders, self.bounds)[number % 4](rng, number // 4)
        if sorted(p.name for p in self.outside.iterdir()) != ["precious", "secret.rhai"] or (self.outside / "precious").read_text() != "precious":
            raise Wrong("wrote outside the folder")

    def script(self, text, **more):
        self.did = text[:300]
        (self.folder / "s.rhai").write_text(text + '\nprint("the end");')
        found = self.host.judged(["s.rhai", "--quiet", "--out", "run"], self.folder, seconds=30, gigabytes=5, **more)
        if found.code == 0 and b"the end\n" not in found.out:
            raise Wrong("exit code 0 before the end")
        return found

    def names(self, rng, number):
        name, act = rng.choice(NAMES), rng.choice(ACTS)
        if "import" in act and rng.random() < 0.5:
            name = rng.choice(["OUTSIDE/secret", "../outside/secret", "leak"])
            (self.folder / "leak.rhai").symlink_to(self.outside / "precious")
        found = self.script(act.replace("{}", name.replace("OUTSIDE", str(self.outside))) + ";")
        if b"precious\n" in found.out + found.err or b"secret\n" in found.out:
            raise Wrong("read outside the folder")
        run = self.folder / "run"
        for own in ("manifest.json", "metrics.csv", "genotype.txt", "lock", "iim.csv", "result.json"):
            if (run / own).is_file() and b"mine" in (run / own).read_bytes():
                raise Wrong(f"the script's text is in {own}")

    def links(self, rng, number):
        where, target = LINKS[number % len(LINKS)], rng.choice(["precious", ".", "new"])
        self.did = f"run folder whose {where} links to {target}"
        shutil.copytree(self.work / "sound", self.folder / "run")
        path = self.folder / "run" / where
        remove(path)
        path.symlink_to(self.outside / target)
        self.host.judged(["--resume", "run", "--quiet"], self.folder, names=[where.split("/")[-1], "checkpoint", "run"])

    def orders(self, rng, number):
        self.script(SAYS[number % len(SAYS)].replace("{}", ORDERS))

    def bounds(self, rng, number):
        text = BOUNDS[number % len(BOUNDS)]
        if rng.random() < 0.3:
            text = text.replace("1000000", rng.choice(["999999", "4294967296", "9223372036854775807"])).replace("3000", rng.choice(["999", "2000"]))
        self.script(text)
