//! Who Postfix asks about each recipient and each message: what is refused, deferred and put off is a test's wish.
//!
//! It speaks Postfix's policy delegation protocol (SMTPD_POLICY_README, "Protocol description"): attributes as lines, an
//! empty line, and the answer as `action=…`. It lives in threads of its own, because a server may outlive the runtime of
//! the test that has started it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Once for each recipient that was named, and once for each message that was ended with a dot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The recipient; of a message only where it has one.
    pub recipient: String,
    /// The sender.
    pub sender: String,
    /// Who has signed in; empty: nobody.
    pub user: String,
    /// The size of the message in bytes; of a recipient, what was announced, or 0.
    pub size: u64,
    /// It is about a message, and not about a recipient.
    pub is_message: bool,
}

#[derive(Debug, Default)]
struct Book {
    /// What is answered to a recipient, in order; the last stays where it was said to.
    recipients: HashMap<String, VecDeque<(String, bool)>>,
    /// The same for the messages of a sender.
    messages: HashMap<String, VecDeque<(String, bool)>>,
    asked: Vec<Asked>,
}

#[derive(Debug)]
pub(super) struct Policy {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
    over: Arc<AtomicBool>,
}

impl Policy {
    pub(super) fn begin() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, book, over) =
            (listener.local_addr()?, Arc::<Mutex<Book>>::default(), Arc::<AtomicBool>::default());
        let (shared, ends) = (Arc::clone(&book), Arc::clone(&over));
        thread::Builder::new().name("mail-policy".to_owned()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let book = Arc::clone(&shared);
                // A connection ends with the smtpd that made it.
                let _ = thread::Builder::new().spawn(move || converse(&stream, &book));
            }
        })?;
        Ok(Self { address, book, over })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn on_recipient(&self, recipient: &str, answer: &str, stays: bool) {
        let mut book = lock(&self.book);
        book.recipients.entry(recipient.to_owned()).or_default().push_back((answer.to_owned(), stays));
    }

    pub(super) fn on_message(&self, sender: &str, answer: &str, stays: bool) {
        let mut book = lock(&self.book);
        book.messages.entry(sender.to_owned()).or_default().push_back((answer.to_owned(), stays));
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        lock(&self.book).asked.clone()
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes who waits for the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

fn converse(stream: &TcpStream, book: &Mutex<Book>) {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let mut attributes = BTreeMap::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(read) if read > 0 => {}
                _ => return,
            }
            let Some((name, value)) = line.trim_end().split_once('=') else { break };
            attributes.insert(name.to_owned(), value.to_owned());
        }
        let answer = answer(&attributes, &mut lock(book));
        if writer.write_all(format!("action={answer}\n\n").as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(attributes: &BTreeMap<String, String>, book: &mut Book) -> String {
    let value = |name: &str| attributes.get(name).cloned().unwrap_or_default();
    let is_message = value("protocol_state") == "END-OF-MESSAGE";
    let asked = Asked {
        recipient: value("recipient"),
        sender: value("sender"),
        user: value("sasl_username"),
        size: value("size").parse().unwrap_or_default(),
        is_message,
    };
    let answers = if is_message {
        book.messages.get_mut(&asked.sender)
    } else {
        book.recipients.get_mut(&asked.recipient)
    };
    book.asked.push(asked);
    let Some(answers) = answers else { return "DUNNO".to_owned() };
    match answers.front() {
        Some((answer, true)) => answer.clone(),
        Some(_) => answers.pop_front().map(|(answer, _)| answer).unwrap_or_default(),
        None => "DUNNO".to_owned(),
    }
}
