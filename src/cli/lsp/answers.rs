//! What is answered to an editor's questions.

use super::places::{byte_of, path_of, place_of, range_of, uri_of};
use isdarts_host::host::{self, RunOptions, Session, Severity};
use isdarts_host::search::Silent;
use isdarts_host::{Result, files};
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionParams, CompletionResponse, CompletionTextEdit, Diagnostic,
    DiagnosticSeverity, DocumentFormattingParams, GotoDefinitionParams, GotoDefinitionResponse, Hover, HoverContents,
    HoverParams, Location, MarkupContent, MarkupKind, ParameterInformation, Position, Range, SignatureHelp,
    SignatureHelpParams, SignatureInformation, TextDocumentPositionParams, TextEdit, Uri,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The open files, and a session that knows what can be called.
pub struct Answers {
    /// Texts by their addresses.
    pub texts: BTreeMap<String, String>,
    session: Session,
}

impl Answers {
    /// Nothing is open.
    pub fn new() -> Result<Self> {
        let session = Session::new(&RunOptions::default(), Rc::new(Silent))?;
        Ok(Answers { texts: BTreeMap::new(), session })
    }

    fn path(uri: &Uri) -> PathBuf {
        path_of(uri).unwrap_or_else(|| PathBuf::from("untitled.rhai"))
    }

    /// Text and byte of a place, for which the session now knows the file's imports.
    fn at(&mut self, place: &TextDocumentPositionParams) -> Option<(String, usize)> {
        let text = self.texts.get(place.text_document.uri.as_str())?.clone();
        self.session.look_at(&text, &Self::path(&place.text_document.uri).to_string_lossy());
        let byte = byte_of(&text, place.position);
        Some((text, byte))
    }

    /// What `check` finds in a file; nothing in one that is closed.
    pub fn diagnostics(&self, uri: &Uri) -> Vec<Diagnostic> {
        let Some(text) = self.texts.get(uri.as_str()) else { return Vec::new() };
        let path = Self::path(uri);
        let found = host::check(text, &path).unwrap_or_default();
        let own = found.into_iter().filter(|finding| Path::new(&finding.file) == path);
        let one = |finding: host::Finding| {
            let line = finding.line.saturating_sub(1) as u32;
            let column = |chars: usize| finding.source.chars().take(chars).map(char::len_utf16).sum::<usize>() as u32;
            let from = finding.column.saturating_sub(1);
            let range =
                Range::new(Position::new(line, column(from)), Position::new(line, column(from + finding.width)));
            let severity = match finding.severity {
                Severity::Error => DiagnosticSeverity::ERROR,
                Severity::Warning => DiagnosticSeverity::WARNING,
            };
            let (severity, source) = (Some(severity), Some("isdarts-host".into()));
            Diagnostic { range, severity, source, message: finding.text, ..Default::default() }
        };
        own.map(one).collect()
    }

    /// What can stand at the cursor.
    pub fn completion(&mut self, params: CompletionParams) -> Option<CompletionResponse> {
        let (text, byte) = self.at(&params.text_document_position)?;
        let (start, found) = self.session.complete(&text[..byte], byte);
        let range = range_of(&text, start, byte);
        let items = found.into_iter().map(|completion| {
            let called = completion.name.ends_with("()");
            CompletionItem {
                label: completion.name,
                kind: Some(if called { CompletionItemKind::FUNCTION } else { CompletionItemKind::VARIABLE }),
                text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text: completion.text })),
                ..Default::default()
            }
        });
        Some(CompletionResponse::Array(items.collect()))
    }

    /// What the name below the cursor is.
    pub fn hover(&mut self, params: HoverParams) -> Option<Hover> {
        let (text, byte) = self.at(&params.text_document_position_params)?;
        let value = self.session.about(&text, byte)?;
        let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
        Some(Hover { contents, range: None })
    }

    /// What the function takes whose brackets the cursor is in.
    pub fn signature(&mut self, params: SignatureHelpParams) -> Option<SignatureHelp> {
        let (text, byte) = self.at(&params.text_document_position_params)?;
        let (labels, number) = self.session.signatures_at(&text[..byte])?;
        let signatures: Vec<SignatureInformation> = labels.into_iter().map(information).collect();
        let takes = |signature: &SignatureInformation| signature.parameters.as_ref().is_some_and(|p| p.len() > number);
        let active = signatures.iter().position(takes).unwrap_or_default() as u32;
        Some(SignatureHelp { signatures, active_signature: Some(active), active_parameter: Some(number as u32) })
    }

    /// Where the function below the cursor is written. Of a module inside of the program a copy is put where it can be read.
    pub fn definition(&mut self, params: GotoDefinitionParams) -> Option<GotoDefinitionResponse> {
        let place = params.text_document_position_params;
        let (text, byte) = self.at(&place)?;
        let origin = self.session.origin(&text, byte)?;
        let uri = match origin.file.as_str() {
            "" => place.text_document.uri,
            file => {
                let path = std::path::absolute(file).ok().filter(|path| path.is_file());
                uri_of(&path.or_else(|| files::cache::copy(file, &origin.text))?)?
            }
        };
        let at = place_of(&origin.text, origin.at);
        Some(GotoDefinitionResponse::Scalar(Location { uri, range: Range::new(at, at) }))
    }

    /// The file in the one style, if it can be read.
    pub fn formatting(&mut self, params: DocumentFormattingParams) -> Option<Vec<TextEdit>> {
        let text = self.texts.get(params.text_document.uri.as_str())?;
        let formatted = host::format(text, "the file").ok()?;
        if formatted == *text {
            return Some(Vec::new());
        }
        Some(vec![TextEdit { range: range_of(text, 0, text.len()), new_text: formatted }])
    }
}

/// A signature with its parameters: what stands between commas in its brackets.
fn information(label: String) -> SignatureInformation {
    let inside = label.split_once('(').map_or("", |(_, rest)| rest.rsplit_once(')').map_or(rest, |(inside, _)| inside));
    let mut parameters: Vec<String> = Vec::new();
    let mut depth = 0;
    for part in inside.split(',').filter(|part| !part.trim().is_empty()) {
        match parameters.last_mut().filter(|_| depth > 0) {
            Some(last) => *last += &format!(",{part}"),
            None => parameters.push(part.trim().to_string()),
        }
        depth += part.matches(['{', '[']).count();
        depth -= part.matches(['}', ']']).count().min(depth);
    }
    let of = |label| ParameterInformation { label: lsp_types::ParameterLabel::Simple(label), documentation: None };
    let parameters = Some(parameters.into_iter().map(of).collect());
    SignatureInformation { label, documentation: None, parameters, active_parameter: None }
}
