//! From tokens to a query whose names nobody has looked up yet.

use super::Refusal;
use super::lexer::{Token, tokens};

/// The longest statement the vendor takes, in characters (limits of SOQL and SOSL).
const MAX_CHARACTERS: usize = 100_000;
/// Deeper parentheses than anyone writes; keeps recursion bounded.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Query {
    pub(super) select: Vec<Item>,
    pub(super) from: Name,
    pub(super) filter: Option<Condition>,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<usize>,
    pub(super) offset: Option<(usize, usize)>,
}

/// A name as written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Field(Name),
    /// A function call: its name, its argument, and the alias behind it.
    Call {
        function: Name,
        argument: Option<Name>,
        alias: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare { field: Name, operator: Operator, value: Literal },
    In { field: Name, negated: bool, values: Vec<Literal> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Boolean(bool),
    Text {
        value: String,
        pattern: String,
    },
    /// A number, date or date-time, as written.
    Bare(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) field: Name,
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}

/// Reads a query.
pub(in super::super) fn parse(text: &str) -> Result<Query, Refusal> {
    if text.chars().count() > MAX_CHARACTERS {
        let message = format!("SOQL statements cannot be longer than {MAX_CHARACTERS} characters.");
        return Err(Refusal::new("MALFORMED_QUERY", message));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0 };
    let query = parser.query()?;
    match parser.peek() {
        Token::End => Ok(query),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn query(&mut self) -> Result<Query, Refusal> {
        self.keyword("SELECT")?;
        let mut select = vec![self.item()?];
        while self.take_sign(",") {
            select.push(self.item()?);
        }
        self.keyword("FROM")?;
        let from = self.object()?;
        let filter = if self.take_word("WHERE") { Some(self.condition()?) } else { None };
        let mut order = Vec::new();
        if self.take_word("ORDER") {
            self.keyword("BY")?;
            order.push(self.order()?);
            while self.take_sign(",") {
                order.push(self.order()?);
            }
        }
        let limit = if self.take_word("LIMIT") { Some(self.count()?) } else { None };
        let place = self.place();
        let offset = if self.take_word("OFFSET") { Some((self.count()?, place)) } else { None };
        Ok(Query { select, from, filter, order, limit, offset })
    }

    fn item(&mut self) -> Result<Item, Refusal> {
        let name = self.name()?;
        if !self.take_sign("(") {
            return Ok(Item::Field(name));
        }
        let argument = if *self.peek() == Token::Sign(")") { None } else { Some(self.name()?) };
        self.sign(")")?;
        let alias = match self.peek() {
            Token::Word(word) if !is_keyword(word) => Some(self.name()?.text),
            _ => None,
        };
        Ok(Item::Call { function: name, argument, alias })
    }

    /// One or more conditions joined by the same word: the vendor wants parentheses where they mix.
    fn condition(&mut self) -> Result<Condition, Refusal> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Refusal::malformed(self.text, self.place(), "too many nested conditions"));
        }
        let mut parts = vec![self.single()?];
        let word = ["AND", "OR"].into_iter().find(|word| self.at_word(word));
        if let Some(word) = word {
            while self.take_word(word) {
                parts.push(self.single()?);
            }
            if self.at_word("AND") || self.at_word("OR") {
                return Err(self.unexpected());
            }
        }
        self.depth -= 1;
        Ok(match (word, parts.len()) {
            (Some("OR"), _) => Condition::Any(parts),
            (None, 1) => parts.remove(0),
            _ => Condition::All(parts),
        })
    }

    fn single(&mut self) -> Result<Condition, Refusal> {
        if self.take_sign("(") {
            let inner = self.condition()?;
            self.sign(")")?;
            return Ok(inner);
        }
        if self.take_word("NOT") {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(Refusal::malformed(self.text, self.place(), "too many nested conditions"));
            }
            let inner = self.single()?;
            self.depth -= 1;
            return Ok(Condition::Not(Box::new(inner)));
        }
        let field = self.name()?;
        let negated = self.take_word("NOT");
        if self.take_word("IN") {
            self.sign("(")?;
            let mut values = vec![self.literal()?];
            while self.take_sign(",") {
                values.push(self.literal()?);
            }
            self.sign(")")?;
            return Ok(Condition::In { field, negated, values });
        }
        if negated {
            return Err(self.unexpected());
        }
        let operator = self.operator()?;
        let value = self.literal()?;
        Ok(Condition::Compare { field, operator, value })
    }

    fn operator(&mut self) -> Result<Operator, Refusal> {
        if self.take_word("LIKE") {
            return Ok(Operator::Like);
        }
        let operator = match self.peek() {
            Token::Sign("=") => Operator::Equal,
            Token::Sign("!=" | "<>") => Operator::NotEqual,
            Token::Sign("<") => Operator::Less,
            Token::Sign("<=") => Operator::LessOrEqual,
            Token::Sign(">") => Operator::Greater,
            Token::Sign(">=") => Operator::GreaterOrEqual,
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(operator)
    }

    fn literal(&mut self) -> Result<Literal, Refusal> {
        let literal = match self.peek() {
            Token::Text { value, pattern } => {
                Literal::Text { value: value.clone(), pattern: pattern.clone() }
            }
            Token::Literal(text) => Literal::Bare(text.clone()),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Literal::Null,
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Boolean(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Boolean(false),
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(literal)
    }

    fn order(&mut self) -> Result<Order, Refusal> {
        let field = self.name()?;
        let descending = !self.take_word("ASC") && self.take_word("DESC");
        let mut nulls_last = false;
        if self.take_word("NULLS") {
            nulls_last = self.take_word("LAST");
            if !nulls_last {
                self.keyword("FIRST")?;
            }
        }
        Ok(Order { field, descending, nulls_last })
    }

    fn count(&mut self) -> Result<usize, Refusal> {
        let count = match self.peek() {
            Token::Literal(text) => text.parse().ok(),
            _ => None,
        };
        let count = count.ok_or_else(|| self.unexpected())?;
        self.next += 1;
        Ok(count)
    }

    fn name(&mut self) -> Result<Name, Refusal> {
        match self.peek() {
            Token::Word(text) if !is_keyword(text) => {
                let name = Name { text: text.clone(), at: self.place() };
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// An object's name may be a keyword: there is an object called `Order`.
    fn object(&mut self) -> Result<Name, Refusal> {
        match self.peek() {
            Token::Word(text) => {
                let name = Name { text: text.clone(), at: self.place() };
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn place(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |(_, at)| *at)
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(text) if text.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = self.at_word(word);
        self.next += usize::from(there);
        there
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Token::Sign(text) if *text == sign);
        self.next += usize::from(there);
        there
    }

    fn keyword(&mut self, word: &str) -> Result<(), Refusal> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn sign(&mut self, sign: &str) -> Result<(), Refusal> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> Refusal {
        Refusal::malformed(self.text, self.place(), &format!("unexpected token: {}", self.peek().shown()))
    }
}

/// Words that are no names where a name is expected, so that a forgotten one is found where it was forgotten.
fn is_keyword(word: &str) -> bool {
    ["SELECT", "FROM", "WHERE", "ORDER", "BY", "LIMIT", "OFFSET", "AND", "OR", "NOT", "IN", "LIKE", "NULLS"]
        .iter()
        .any(|keyword| keyword.eq_ignore_ascii_case(word))
}
