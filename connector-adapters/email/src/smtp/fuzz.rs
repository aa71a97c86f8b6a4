//! What the fuzz target of SMTP holds.

use super::{
    ehlo::Extensions,
    reply::{LONGEST_LINE, MOST_LINES, Replies, Reply, Unreadable},
};

fn replies(said: &[u8], piece: usize) -> (Vec<Reply>, Option<Unreadable>) {
    let (mut replies, mut found) = (Replies::default(), Vec::new());
    for piece in said.chunks(piece.max(1)) {
        replies.push(piece);
        loop {
            match replies.next() {
                Ok(Some(reply)) => found.push(reply),
                Ok(None) => break,
                Err(unreadable) => return (found, Some(unreadable)),
            }
        }
    }
    (found, None)
}

/// See [`crate::fuzzing::smtp`].
pub(crate) fn fuzz(said: &[u8]) {
    let Some((piece, said)) = said.split_first() else { return };
    let whole = replies(said, said.len());
    let pieces = replies(said, usize::from(*piece));
    // A line that has no end yet is too long at another moment, but no reply is another.
    assert_eq!(whole.0, pieces.0, "it matters how it arrives");
    for reply in whole.0 {
        assert!((200..600).contains(&reply.code) && reply.lines.len() <= MOST_LINES);
        assert!(reply.lines.iter().all(|line| !line.contains(['\r', '\n']) || line.len() <= LONGEST_LINE));
        assert!(
            reply
                .enhanced()
                .is_none_or(|code| reply.lines.first().is_some_and(|line| line.starts_with(code)))
        );
        let _ =
            (reply.text(), reply.is_done(), reply.is_put_off(), reply.is_refused(), Extensions::of(&reply));
    }
}
