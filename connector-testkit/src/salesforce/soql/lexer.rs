//! Words, literals and signs of a query, each with the place where it stands.

use super::Refusal;

/// Stands for an unescaped `%` in the pattern form of a text: a character no query contains.
pub(super) const ANY: char = '\u{f8f0}';
/// Stands for an unescaped `_` in the pattern form of a text.
pub(super) const ONE: char = '\u{f8f1}';

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword or a name, dots included.
    Word(String),
    /// A text: what it says, and its form as a LIKE pattern.
    Text {
        value: String,
        pattern: String,
    },
    /// A number, date or date-time, as written.
    Literal(String),
    /// A sign: `(`, `)`, `,` or a comparison.
    Sign(&'static str),
    End,
}

impl Token {
    /// How an error message names it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Word(text) | Self::Literal(text) => format!("'{text}'"),
            Self::Text { value, .. } => format!("'{value}'"),
            Self::Sign(sign) => format!("'{sign}'"),
            Self::End => "'<EOF>'".to_owned(),
        }
    }
}

/// All tokens of a query and where they start; the last one is [`Token::End`].
pub(super) fn tokens(query: &str) -> Result<Vec<(Token, usize)>, Refusal> {
    let bytes = query.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        let token = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'\'' => text(query, &mut at)?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                at = end_of(bytes, at, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
                Token::Word(query[start..at].to_owned())
            }
            b'0'..=b'9' => literal(query, &mut at),
            b'+' | b'-' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                at += 1;
                literal(query, &mut at);
                Token::Literal(query[start..at].to_owned())
            }
            _ => sign(query, &mut at)?,
        };
        tokens.push((token, start));
    }
    tokens.push((Token::End, query.len()));
    Ok(tokens)
}

fn literal(query: &str, at: &mut usize) -> Token {
    let start = *at;
    *at = end_of(query.as_bytes(), start, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'+' | b'-')
    });
    Token::Literal(query[start..*at].to_owned())
}

fn sign(query: &str, at: &mut usize) -> Result<Token, Refusal> {
    const SIGNS: [&str; 10] = ["<=", ">=", "!=", "<>", "=", "<", ">", "(", ")", ","];
    let Some(sign) = SIGNS.into_iter().find(|sign| query[*at..].starts_with(sign)) else {
        let unknown = query[*at..].chars().next().unwrap_or(' ');
        return Err(Refusal::malformed(query, *at, &format!("unexpected token: '{unknown}'")));
    };
    *at += sign.len();
    Ok(Token::Sign(sign))
}

fn text(query: &str, at: &mut usize) -> Result<Token, Refusal> {
    let start = *at;
    let (mut value, mut pattern) = (String::new(), String::new());
    let mut rest = query[start + 1..].char_indices();
    while let Some((offset, character)) = rest.next() {
        let (plain, wild) = match character {
            '\'' => {
                *at = start + 1 + offset + 1;
                return Ok(Token::Text { value, pattern });
            }
            '%' => ('%', ANY),
            '_' => ('_', ONE),
            '\\' => {
                let escaped = rest.next().map(|(_, escaped)| escaped);
                let plain = match escaped {
                    Some('n' | 'N') => '\n',
                    Some('r' | 'R') => '\r',
                    Some('t' | 'T') => '\t',
                    Some('b' | 'B') => '\u{8}',
                    Some('f' | 'F') => '\u{c}',
                    Some(same @ ('"' | '\'' | '\\' | '_' | '%')) => same,
                    Some('u') => {
                        let digits: String = rest.by_ref().take(4).map(|(_, digit)| digit).collect();
                        u32::from_str_radix(&digits, 16)
                            .ok()
                            .and_then(char::from_u32)
                            .ok_or_else(|| illegal(query, start, &format!("\\u{digits}")))?
                    }
                    other => {
                        let shown = other.map(String::from).unwrap_or_default();
                        return Err(illegal(query, start, &format!("\\{shown}")));
                    }
                };
                (plain, plain)
            }
            other => (other, other),
        };
        value.push(plain);
        pattern.push(wild);
    }
    Err(Refusal::malformed(query, start, "line 1: unterminated string literal"))
}

fn illegal(query: &str, at: usize, sequence: &str) -> Refusal {
    let text = format!("Invalid string literal. Illegal character sequence '{sequence}' in string literal.");
    Refusal::malformed(query, at, &text)
}

fn end_of(bytes: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    start + bytes[start..].iter().take_while(|byte| belongs(**byte)).count()
}
