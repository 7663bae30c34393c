//! As much of SQL as a ledger needs: the verb, the literals, the placeholders, and where a secret begins.
//!
//! It is a scanner, not a parser. It takes a backslash for an escape, as servers do unless `NO_BACKSLASH_ESCAPES` is
//! set, and text in double quotes for a literal.

use std::borrow::Cow;

use harness_model::event::Verb;

use super::shown;
use super::values::Values;

/// What a scan finds, apart from the values.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) verb: Verb,
    /// The text, cut at 300 characters, or before a password.
    pub(super) text: String,
    /// Number of `?`.
    pub(super) placeholders: usize,
}

/// Reads `sql` once; its literals are added to `values`.
pub(super) fn scan(sql: &[u8], values: &mut Values) -> Scan {
    let mut lexer = Lexer { sql, at: 0 };
    let mut verb = Reading::First;
    let mut placeholders = 0;
    let mut secret = Secret::default();
    let mut depth = 0_usize;
    while let Some(token) = lexer.next() {
        match &token {
            Token::Word(word) => verb.word(word, depth),
            Token::Integer(digits) => values.text(digits),
            Token::Text(text) => values.text(text),
            Token::Symbol(b'?') => placeholders += 1,
            Token::Symbol(b'(') => depth += 1,
            Token::Symbol(b')') => depth = depth.saturating_sub(1),
            Token::Symbol(b';') => verb.end(),
            Token::Symbol(_) => {}
        }
        secret.token(&token, lexer.at);
    }
    Scan {
        verb: verb.verb(),
        text: shown(&sql[..secret.at.unwrap_or(sql.len())]),
        placeholders,
    }
}

/// How much of the verb is known.
#[derive(Clone, Copy)]
enum Reading {
    First,
    /// After `WITH`, at this depth of parentheses: the statement comes after the common table expressions.
    With(usize),
    /// After `START`: only a transaction is a beginning.
    Start,
    /// After `ROLLBACK`: going back to a savepoint ends no transaction.
    Rollback,
    Known(Verb),
}

impl Reading {
    fn word(&mut self, word: &[u8], depth: usize) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        *self = match *self {
            Self::First if is("WITH") => Self::With(depth),
            Self::First if is("START") => Self::Start,
            Self::First if is("ROLLBACK") => Self::Rollback,
            Self::First => Self::Known(plain(word)),
            Self::With(outer) if outer == depth && statement(word) => Self::Known(plain(word)),
            Self::Start if is("TRANSACTION") => Self::Known(Verb::Begin),
            Self::Start => Self::Known(Verb::Other),
            Self::Rollback if is("TO") => Self::Known(Verb::Other),
            reading => reading,
        };
    }

    /// The first statement ends here.
    fn end(&mut self) {
        *self = match *self {
            Self::First => Self::First,
            reading => Self::Known(reading.verb()),
        };
    }

    fn verb(self) -> Verb {
        match self {
            Self::Known(verb) => verb,
            Self::Rollback => Verb::Rollback,
            Self::First | Self::With(_) | Self::Start => Verb::Other,
        }
    }
}

/// The verb that needs no more than its word.
fn plain(word: &[u8]) -> Verb {
    const VERBS: [(&str, Verb); 13] = [
        ("SELECT", Verb::Select),
        ("INSERT", Verb::Insert),
        ("UPDATE", Verb::Update),
        ("DELETE", Verb::Delete),
        ("REPLACE", Verb::Replace),
        ("BEGIN", Verb::Begin),
        ("COMMIT", Verb::Commit),
        ("SET", Verb::Set),
        ("CREATE", Verb::Ddl),
        ("ALTER", Verb::Ddl),
        ("DROP", Verb::Ddl),
        ("TRUNCATE", Verb::Ddl),
        ("RENAME", Verb::Ddl),
    ];
    VERBS
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))
        .map_or(Verb::Other, |&(_, verb)| verb)
}

/// Whether `word` is what common table expressions stand before.
fn statement(word: &[u8]) -> bool {
    matches!(
        plain(word),
        Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Replace
    )
}

/// Finds the end of the last word that may be shown before a password: `IDENTIFIED`, `SET PASSWORD`, or any word that
/// ends with `PASSWORD` and has a literal for its value.
#[derive(Default)]
struct Secret {
    at: Option<usize>,
    after_set: bool,
    after_password: Option<usize>,
}

impl Secret {
    fn token(&mut self, token: &Token<'_>, end: usize) {
        if self.at.is_some() {
            return;
        }
        match token {
            Token::Word(word) => {
                let password = word.len() >= 8 && word[word.len() - 8..].eq_ignore_ascii_case(b"PASSWORD");
                if word.eq_ignore_ascii_case(b"IDENTIFIED") || (password && self.after_set) {
                    self.at = Some(end);
                }
                self.after_password = password.then_some(end);
            }
            Token::Text(_) => self.at = self.after_password,
            Token::Symbol(b'(' | b'=' | b':') => {}
            Token::Symbol(_) | Token::Integer(_) => self.after_password = None,
        }
        self.after_set = matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(b"SET"));
    }
}

enum Token<'a> {
    /// A keyword or a bare identifier.
    Word(&'a [u8]),
    Integer(&'a [u8]),
    /// A quoted literal, without its quotes and escapes.
    Text(Cow<'a, [u8]>),
    Symbol(u8),
}

struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    /// The next token; white space, comments and quoted identifiers are passed over.
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = &self.sql[self.at..];
            match *rest.first()? {
                b'#' => self.skip_past(1, b"\n"),
                b'-' if matches!(rest, [_, b'-'] | [_, b'-', ..=b' ', ..]) => self.skip_past(2, b"\n"),
                // What is in such a comment is executed: only its marks are passed over.
                b'/' if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") => {
                    let mark = if rest[2] == b'M' { 4 } else { 3 };
                    let version = rest[mark..]
                        .iter()
                        .take_while(|byte| byte.is_ascii_digit())
                        .count();
                    self.at += mark + version;
                }
                b'/' if rest.starts_with(b"/*") => self.skip_past(2, b"*/"),
                b'*' if rest.starts_with(b"*/") => self.at += 2,
                b'`' => self.skip_past(1, b"`"),
                quote @ (b'\'' | b'"') => return Some(Token::Text(self.quoted(quote))),
                byte if byte.is_ascii_whitespace() => self.at += 1,
                byte if is_word(byte) => return Some(self.word()),
                byte => {
                    self.at += 1;
                    return Some(Token::Symbol(byte));
                }
            }
        }
    }

    /// Goes behind the next `end` that is at least `offset` away, or to the end of the text.
    fn skip_past(&mut self, offset: usize, end: &[u8]) {
        let rest = &self.sql[self.at + offset..];
        let found = rest.windows(end.len()).position(|window| window == end);
        self.at += offset + found.map_or(rest.len(), |found| found + end.len());
    }

    fn word(&mut self) -> Token<'a> {
        let fraction = self.at > 0 && self.sql[self.at - 1] == b'.';
        let rest = &self.sql[self.at..];
        let length = rest.iter().take_while(|&&byte| is_word(byte)).count();
        self.at += length;
        let word = &rest[..length];
        if !word[0].is_ascii_digit() {
            return Token::Word(word);
        }
        if fraction || rest.get(length) == Some(&b'.') || !word.iter().all(u8::is_ascii_digit) {
            // Part of a decimal number, or hexadecimal: no key.
            return Token::Symbol(b'0');
        }
        Token::Integer(word)
    }

    /// The literal that begins with `quote` here; one that does not end reaches to the end of the text.
    fn quoted(&mut self, quote: u8) -> Cow<'a, [u8]> {
        let start = self.at + 1;
        let mut plain = Cow::Borrowed(&self.sql[start..start]);
        let mut at = start;
        loop {
            let rest = &self.sql[at..];
            let Some(length) = rest.iter().position(|&byte| byte == quote || byte == b'\\') else {
                at = self.sql.len();
                append(&mut plain, rest);
                break;
            };
            append(&mut plain, &rest[..length]);
            match rest[length..] {
                [b'\\', escaped, ..] => plain.to_mut().push(escaped),
                [_, next, ..] if next == quote => plain.to_mut().push(quote),
                _ => {
                    at += length + 1;
                    break;
                }
            }
            at += length + 2;
        }
        self.at = at;
        plain
    }
}

/// Adds `part` to a literal, without copying as long as there was no escape.
fn append<'a>(plain: &mut Cow<'a, [u8]>, part: &'a [u8]) {
    if plain.is_empty() && matches!(plain, Cow::Borrowed(_)) {
        *plain = Cow::Borrowed(part);
    } else {
        plain.to_mut().extend_from_slice(part);
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}
