//! The terminal of the shell: lines with completion, and a history that holds no secrets.
//!
//! The editor waits for keys in a thread of its own; what a begun word can become it asks the session, which alone has
//! the registry.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Helper};
use tokio::sync::{mpsc as requests, oneshot};

use super::completion::{self, Completed, Typing};
use crate::desk::failure::Failure;
use crate::desk::office::Office;

const LONGEST_HISTORY: usize = 1000;

/// Lines as somebody types them.
pub(super) struct Editor {
    orders: Option<mpsc::Sender<Order>>,
    begun: requests::UnboundedReceiver<Begun>,
    thread: Option<thread::JoinHandle<()>>,
}

/// How a question ended.
pub(super) enum Typed {
    /// With a line.
    Line(String),
    /// With Ctrl-C.
    GivenUp,
    /// With Ctrl-D.
    End,
}

enum Order {
    Ask { prompt: String, typing: Typing, answer: oneshot::Sender<Result<Typed, Failure>> },
    Remember { line: String, done: oneshot::Sender<()> },
}

/// A word that was begun.
struct Begun {
    typing: Typing,
    before: String,
    completed: mpsc::Sender<Completed>,
}

impl Editor {
    pub(super) fn new() -> Result<Self, Failure> {
        let (orders, received) = mpsc::channel();
        let (completions, begun) = requests::unbounded_channel();
        let thread = thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || serve(&received, completions))
            .map_err(|error| no_terminal(&error))?;
        Ok(Self { orders: Some(orders), begun, thread: Some(thread) })
    }

    /// The next line, while the registry answers what begun words can become.
    pub(super) async fn ask(
        &mut self,
        prompt: &str,
        typing: Typing,
        office: &Office,
    ) -> Result<Typed, Failure> {
        let (answer, mut answered) = oneshot::channel();
        self.order(Order::Ask { prompt: prompt.to_owned(), typing, answer });
        loop {
            tokio::select! {
                answer = &mut answered => return answer.unwrap_or(Ok(Typed::End)),
                Some(begun) = self.begun.recv() => {
                    let completed = completion::complete(office, begun.typing, &begun.before).await;
                    let _ = begun.completed.send(completed);
                }
            }
        }
    }

    /// Keeps a line that was understood: what was not could be a secret that was typed in the wrong place.
    ///
    /// It is waited for: while the file is written rustyline changes the umask, which belongs to the whole process, and what
    /// the command makes would be nobody else's to read, its folders nobody's to search.
    pub(super) async fn remember(&self, line: &str) {
        let (done, is_done) = oneshot::channel();
        self.order(Order::Remember { line: line.to_owned(), done });
        // A thread that is gone has written nothing.
        let _ = is_done.await;
    }

    /// A thread that is gone answers nothing, and the session ends.
    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.orders = None;
        self.begun.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(orders: &mpsc::Receiver<Order>, completions: requests::UnboundedSender<Begun>) {
    let helper = Completion { typing: Typing::Command, completions };
    let config = Config::builder().completion_type(CompletionType::List).history_ignore_space(true);
    let editor = config.max_history_size(LONGEST_HISTORY).and_then(|config| {
        let mut editor = rustyline::Editor::<Completion, FileHistory>::with_config(config.build())?;
        editor.set_helper(Some(helper));
        Ok(editor)
    });
    let mut editor = editor.map_err(|error| no_terminal(&error));
    let history = history_file();
    if let (Ok(editor), Some(file)) = (&mut editor, &history) {
        // None yet, or none that can be read: the history begins now.
        let _ = editor.load_history(file);
    }
    for order in orders {
        match (order, &mut editor) {
            (Order::Ask { answer, .. }, Err(failure)) => {
                let _ = answer.send(Err(Failure::new(failure.code, failure.message.clone())));
            }
            (Order::Ask { prompt, typing, answer }, Ok(editor)) => {
                if let Some(helper) = editor.helper_mut() {
                    helper.typing = typing;
                }
                let _ = answer.send(match editor.readline(&prompt) {
                    Ok(line) => Ok(Typed::Line(line)),
                    Err(ReadlineError::Interrupted) => Ok(Typed::GivenUp),
                    Err(ReadlineError::Eof) => Ok(Typed::End),
                    Err(error) => Err(no_terminal(&error)),
                });
            }
            (Order::Remember { line, done }, Ok(editor)) => {
                // The history is a convenience: where it cannot be kept, work goes on.
                let _ = editor.add_history_entry(line.as_str());
                if let Some(file) = &history {
                    let _ = editor.save_history(file);
                }
                let _ = done.send(());
            }
            (Order::Remember { .. }, Err(_)) => {}
        }
    }
}

fn no_terminal(error: &dyn std::fmt::Display) -> Failure {
    Failure::new("io", format!("the terminal: {error}"))
}

/// In the user's state, in a folder that nobody else can search; the file is only its owner's (rustyline makes it so).
fn history_file() -> Option<PathBuf> {
    let directories = directories::BaseDirs::new()?;
    let state = directories.state_dir().unwrap_or_else(|| directories.data_local_dir());
    let folder = state.join("sealwright");
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(&folder).ok()?;
    Some(folder.join("desk-history"))
}

/// Asks the session what can stand here.
struct Completion {
    typing: Typing,
    completions: requests::UnboundedSender<Begun>,
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<Completed> {
        let (completed, receiver) = mpsc::channel();
        let before = line.get(..position).unwrap_or(line).to_owned();
        let begun = Begun { typing: self.typing, before, completed };
        let nothing = || (position, Vec::new());
        if self.completions.send(begun).is_err() {
            return Ok(nothing());
        }
        Ok(receiver.recv().unwrap_or_else(|_| nothing()))
    }
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}

impl Hinter for Completion {
    type Hint = String;
}
