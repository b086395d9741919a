//! The language server, asked by a client that speaks the protocol over pipes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const URI: &str = "file:///somewhere/a%20search.rhai";

struct Client {
    server: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    number: i64,
}

impl Client {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
        let cache = std::env::temp_dir().join(format!("isdarts-lsp-{}", std::process::id()));
        command.arg("lsp").env("ISDARTS_CACHE", cache).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let (to, from) = (server.stdin.take().unwrap(), BufReader::new(server.stdout.take().unwrap()));
        let mut client = Client { server, to, from, number: 0 };
        let offered = client.ask("initialize", json!({ "capabilities": {}, "processId": null, "rootUri": null }));
        assert_eq!(offered["capabilities"]["hoverProvider"], true);
        client.tell("initialized", json!({}));
        client
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the server is gone");
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                _ if line.trim().is_empty() => break,
                _ => {}
            }
        }
        let mut bytes = vec![0; length];
        self.from.read_exact(&mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// The result of a request; what is told in between is passed over.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let id = self.number;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.read();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// Opens a text; its diagnostics as (line, first character, last, severity, message).
    fn open(&mut self, text: &str) -> Vec<(u64, u64, u64, u64, String)> {
        let document = json!({ "uri": URI, "languageId": "rhai", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        let message = loop {
            let message = self.read();
            if message["method"] == "textDocument/publishDiagnostics" {
                break message;
            }
        };
        let all = message["params"]["diagnostics"].as_array().unwrap();
        let number = |value: &Value| value.as_u64().unwrap();
        let one = |d: &Value| {
            let (from, to) = (&d["range"]["start"], &d["range"]["end"]);
            let text = d["message"].as_str().unwrap().to_string();
            (number(&from["line"]), number(&from["character"]), number(&to["character"]), number(&d["severity"]), text)
        };
        all.iter().map(one).collect()
    }

    /// A question about the place where `mark` ends in the text.
    fn ask_at(&mut self, method: &str, text: &str, mark: &str) -> Value {
        let at = text.find(mark).unwrap() + mark.len();
        let line = text[..at].matches('\n').count();
        let character = text[..at].rsplit('\n').next().unwrap().encode_utf16().count();
        let place = json!({ "line": line, "character": character });
        self.ask(method, json!({ "textDocument": { "uri": URI }, "position": place }))
    }

    fn leave(mut self) {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        assert!(self.server.wait().unwrap().success());
    }
}

const TEXT: &str = "import \"nas/is_darts\" as method;
/// Twice a number.
fn twice(x) { 2*x }
let words = \"𝄞\"; let net = supernet(\"nas-bench-201\", #{ channels: 2 });
print(twice(net.epoch)); net.mesure_iim(data().train, 3);
net.measure_iim(data().train, 16);
let cfg = method::defaults();
";

#[test]
fn an_editor_is_told_mistakes_and_asks_for_names_meanings_places_and_style() {
    let mut client = Client::start();
    let found = client.open(TEXT);
    let [(4, 29, 39, 1, text)] = &found[..] else { panic!("{found:?}") };
    assert!(text.contains("did you mean `measure_iim"), "{text}");

    for (mark, expected) in [("net.mea", "measure_iim()"), ("method::def", "defaults()"), ("print(twi", "twice()")] {
        let items = client.ask_at("textDocument/completion", TEXT, mark);
        assert!(items.as_array().unwrap().iter().any(|item| item["label"] == expected), "{mark}: {items}");
    }
    for (mark, part) in [
        ("net.measure_", "net.measure_iim(data, samples)"),
        ("print(twi", "Twice a number."),
        ("method::defa", "appendix A.1"),
        ("twice(ne", "Supernet"),
    ] {
        let hover = client.ask_at("textDocument/hover", TEXT, mark);
        assert!(hover["contents"]["value"].as_str().is_some_and(|text| text.contains(part)), "{mark}: {hover}");
    }
    for (mark, label, active) in
        [("measure_iim(data().train, ", "net.measure_iim(data", 1), ("print(twice(", "twice(x)", 0)]
    {
        let help = client.ask_at("textDocument/signatureHelp", TEXT, mark);
        let shown = help["signatures"][0]["label"].as_str().unwrap();
        assert!(shown.starts_with(label) && help["activeParameter"] == active, "{mark}: {help}");
    }
    let own = client.ask_at("textDocument/definition", TEXT, "print(twi");
    assert_eq!((&own["uri"], &own["range"]["start"]), (&json!(URI), &json!({ "line": 2, "character": 3 })));
    let far = client.ask_at("textDocument/definition", TEXT, "method::defa");
    let path = far["uri"].as_str().unwrap().strip_prefix("file://").unwrap().to_string();
    let line = far["range"]["start"]["line"].as_u64().unwrap() as usize;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(path.ends_with("is_darts.rhai") && text.lines().nth(line).unwrap().starts_with("fn defaults()"), "{far}");

    let options = json!({ "tabSize": 4, "insertSpaces": true });
    let edits = client.ask("textDocument/formatting", json!({ "textDocument": { "uri": URI }, "options": options }));
    assert!(edits[0]["newText"].as_str().unwrap().contains("fn twice(x) { 2 * x }"), "{edits}");
    client.leave();
}

#[test]
fn what_it_cannot_read_does_not_end_it() {
    let mut client = Client::start();
    let found = client.open("let x = ;\n");
    assert_eq!((found.len(), found[0].0, found[0].3), (1, 0, 1), "{found:?}");
    assert_eq!(client.ask_at("textDocument/hover", "let x = ;\n", "le"), Value::Null);
    client.number += 1;
    let id = client.number;
    client.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "textDocument/nothing", "params": {} }));
    assert!(client.read()["error"]["message"].as_str().unwrap().contains("not offered"));
    client.tell(
        "textDocument/didChange",
        json!({ "textDocument": { "uri": URI, "version": 2 }, "contentChanges": [{ "text": "let x = 1;\n" }] }),
    );
    assert_eq!(client.read()["params"]["diagnostics"], json!([]));
    client.leave();
}
