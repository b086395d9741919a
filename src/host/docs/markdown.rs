//! The manual as Markdown: one page, a section a chapter, then the stdlib.

use crate::host::script::doc::Doc;
use crate::host::script::lexer;
use crate::host::script::modules::STDLIB;

/// The whole manual.
pub fn manual(docs: &[Doc]) -> String {
    let mut text =
        String::from("# Script functions of isdarts-host\n\nEvery example runs as it stands; the tests run them.\n");
    for chapter in super::chapters(docs) {
        text += &format!("\n## {}\n", title(chapter));
        for doc in docs.iter().filter(|d| d.chapter == chapter) {
            text += &entry(doc);
        }
    }
    text += &super::settings::markdown();
    text += "\n## Modules of the stdlib\n";
    for (path, module) in STDLIB {
        text += &format!("\n### `{path}`\n\n{}\n", super::page::header(module).join("\n"));
        for function in lexer::functions(module).into_iter().filter(|f| !f.private) {
            text += &format!("\n- `{}`: {}\n", function.signature, function.comment.replace('\n', " "));
        }
    }
    text
}

/// One entry.
pub fn entry(doc: &Doc) -> String {
    format!(
        "\n### `{}`\n\n```rhai\n{}\n```\n\n{}\n\n```rhai\n{}\n```\n",
        doc.name,
        doc.lines().join("\n"),
        doc.text(),
        doc.example()
    )
}

fn title(chapter: &str) -> String {
    let mut letters = chapter.chars();
    letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect()
}
