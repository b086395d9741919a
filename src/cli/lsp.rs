//! `lsp`: the language server, over standard input and output. What it knows is what `check`, `fmt` and the prompt know.

mod answers;
mod places;

use answers::Answers;
use isdarts_host::{Error, Result};
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument, Notification as _,
    PublishDiagnostics,
};
use lsp_types::request::{Completion, Formatting, GotoDefinition, HoverRequest, Request as _, SignatureHelpRequest};
use lsp_types::{
    CompletionOptions, HoverProviderCapability, OneOf, PublishDiagnosticsParams, ServerCapabilities,
    SignatureHelpOptions, TextDocumentSyncCapability, TextDocumentSyncKind, Uri,
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Display;

fn capabilities() -> ServerCapabilities {
    let letters = |all: &str| Some(all.chars().map(String::from).collect::<Vec<String>>());
    ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::FULL)),
        completion_provider: Some(CompletionOptions { trigger_characters: letters(".:\"{"), ..Default::default() }),
        signature_help_provider: Some(SignatureHelpOptions { trigger_characters: letters("(,"), ..Default::default() }),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        document_formatting_provider: Some(OneOf::Left(true)),
        ..Default::default()
    }
}

/// Answers until the editor says that it is over.
pub fn lsp() -> Result<()> {
    let (connection, threads) = Connection::stdio();
    let offered = serde_json::to_value(capabilities()).map_err(failed)?;
    match connection.initialize(offered) {
        Ok(_) => {}
        // It left before it had begun.
        Err(error) if error.channel_is_disconnected() => return threads.join().map_err(failed),
        Err(error) => return Err(failed(error)),
    }
    let mut answers = Answers::new()?;
    for message in &connection.receiver {
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request).map_err(failed)? {
                    break;
                }
                let response = respond(&mut answers, request);
                connection.sender.send(Message::Response(response)).map_err(failed)?;
            }
            Message::Notification(note) => {
                if let Some(changed) = take(&mut answers, note) {
                    let diagnostics = answers.diagnostics(&changed);
                    let params = PublishDiagnosticsParams { uri: changed, diagnostics, version: None };
                    let note = Notification::new(PublishDiagnostics::METHOD.into(), params);
                    connection.sender.send(Message::Notification(note)).map_err(failed)?;
                }
            }
            Message::Response(_) => {}
        }
    }
    drop(connection);
    threads.join().map_err(failed)
}

fn failed(error: impl Display) -> Error {
    Error::Script(format!("language server: {error}"))
}

/// A file that was opened, changed, saved or closed: which is to be looked at anew.
fn take(answers: &mut Answers, note: Notification) -> Option<Uri> {
    fn read<T: DeserializeOwned>(note: &Notification) -> Option<T> {
        serde_json::from_value(note.params.clone()).ok()
    }
    match note.method.as_str() {
        DidOpenTextDocument::METHOD => {
            let document = read::<lsp_types::DidOpenTextDocumentParams>(&note)?.text_document;
            answers.texts.insert(document.uri.as_str().to_string(), document.text);
            Some(document.uri)
        }
        DidChangeTextDocument::METHOD => {
            let change = read::<lsp_types::DidChangeTextDocumentParams>(&note)?;
            let text = change.content_changes.into_iter().next_back()?.text;
            answers.texts.insert(change.text_document.uri.as_str().to_string(), text);
            Some(change.text_document.uri)
        }
        DidSaveTextDocument::METHOD => Some(read::<lsp_types::DidSaveTextDocumentParams>(&note)?.text_document.uri),
        DidCloseTextDocument::METHOD => {
            let uri = read::<lsp_types::DidCloseTextDocumentParams>(&note)?.text_document.uri;
            answers.texts.remove(uri.as_str());
            Some(uri)
        }
        _ => None,
    }
}

fn respond(answers: &mut Answers, request: Request) -> Response {
    fn ask<P: DeserializeOwned, R: Serialize>(request: Request, answer: impl FnOnce(P) -> Option<R>) -> Response {
        match serde_json::from_value::<P>(request.params) {
            Ok(params) => match serde_json::to_value(answer(params)) {
                Ok(value) => Response::new_ok(request.id, value),
                Err(error) => Response::new_err(request.id, ErrorCode::InternalError as i32, error.to_string()),
            },
            Err(error) => Response::new_err(request.id, ErrorCode::InvalidParams as i32, error.to_string()),
        }
    }
    match request.method.as_str() {
        Completion::METHOD => ask(request, |p| answers.completion(p)),
        HoverRequest::METHOD => ask(request, |p| answers.hover(p)),
        SignatureHelpRequest::METHOD => ask(request, |p| answers.signature(p)),
        GotoDefinition::METHOD => ask(request, |p| answers.definition(p)),
        Formatting::METHOD => ask(request, |p| answers.formatting(p)),
        other => {
            let text = format!("{other} is not offered");
            Response::new_err(request.id, ErrorCode::MethodNotFound as i32, text)
        }
    }
}
