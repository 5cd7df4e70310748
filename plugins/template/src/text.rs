//! A place in the text of a pattern or an expression, from which words are taken one after another.
//!
//! It knows characters, not the language.

use crate::error::Fault;

/// A fault and the byte where it is.
pub(crate) type At = (usize, Fault);

/// What is left of a text.
#[derive(Debug, Clone)]
pub(crate) struct Text<'a> {
    whole: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    pub(crate) const fn new(whole: &'a str) -> Self {
        Self { whole, at: 0 }
    }

    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The character that a byte position belongs to, counted from 1.
    pub(crate) fn column(whole: &str, at: usize) -> usize {
        whole.char_indices().take_while(|(start, _)| *start < at).count() + 1
    }

    fn rest(&self) -> &'a str {
        self.whole.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    pub(crate) fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// Takes `word` if it stands here.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let here = self.rest().starts_with(word);
        if here {
            self.at += word.len();
        }
        here
    }

    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|next| !wanted(next)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// A fault at this place: something else was wanted.
    pub(crate) fn unexpected(&self, wanted: &'static str) -> At {
        let found = self.peek().map_or_else(|| String::from("the end"), |next| format!("`{next}`"));
        (self.at, Fault::Unexpected { found, wanted })
    }

    /// Takes `word`, or says that it was wanted.
    pub(crate) fn expect(&mut self, word: &'static str) -> Result<(), At> {
        self.skip_blanks();
        if self.take(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }
}
