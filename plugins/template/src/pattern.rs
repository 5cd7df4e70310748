//! Byte patterns: what a packet is made of.
//!
//! `55 A0` are bytes, `"text {v};"` is text, `{v+1:u16le}` a value in a format, `[ ... ]` is made once for each
//! output that the packet carries, `( ... )*7` and `00*16` repeat. A value that does not fit its format is an
//! error and never cut off.

use crate::error::{EncodeError, Fault};
use crate::expression::{Expression, Scope};
use crate::expression_text::{Names, Parser, Place, number};
use crate::text::{At, Text};

/// The longest packet. No transport of these devices takes more in one write.
pub(crate) const MAX_PACKET: usize = 512;
/// How deep groups may nest.
const MAX_DEPTH: usize = 4;
/// How many pieces a pattern may have.
const MAX_PIECES: usize = 256;

/// How a value becomes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    U8,
    I8,
    U16Le,
    U16Be,
    I16Le,
    I16Be,
    U32Le,
    U32Be,
    /// Decimal text of at least so many digits.
    Decimal(usize),
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Value(Expression, Format),
    /// Once for each output that the packet carries.
    Each(Vec<Piece>),
    /// So many times.
    Repeat(Vec<Piece>, usize),
}

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Reads a pattern; the fault comes with the byte where it is.
    pub(crate) fn read(whole: &str, names: &Names, place: Place) -> Result<Self, At> {
        let mut reader =
            Reader { text: Text::new(whole), parser: Parser::new(names, place), place, pieces: 0 };
        let pieces = reader.pieces(0, None)?;
        Ok(Self { pieces })
    }

    /// Whether it has no bytes at all, whatever the values.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether it asks, outside `[ ]`, for the one output that the packet is made for.
    pub(crate) fn needs_output(&self) -> bool {
        any_value(&self.pieces, Groups::Skip, &Expression::needs_output)
    }

    /// Whether it uses the packet's number.
    pub(crate) fn counts(&self) -> bool {
        any_value(&self.pieces, Groups::Enter, &Expression::counts)
    }

    /// The bytes for these values. `scope.done` is ignored.
    pub(crate) fn encode(&self, scope: &Scope<'_>) -> Result<Vec<u8>, EncodeError> {
        let mut done = Vec::new();
        encode(&self.pieces, scope, &mut done)?;
        Ok(done)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Groups {
    Enter,
    Skip,
}

fn any_value(pieces: &[Piece], groups: Groups, wanted: &impl Fn(&Expression) -> bool) -> bool {
    pieces.iter().any(|piece| match piece {
        Piece::Bytes(_) => false,
        Piece::Value(expression, _) => wanted(expression),
        Piece::Each(inner) => groups == Groups::Enter && any_value(inner, groups, wanted),
        Piece::Repeat(inner, _) => any_value(inner, groups, wanted),
    })
}

fn encode(pieces: &[Piece], scope: &Scope<'_>, done: &mut Vec<u8>) -> Result<(), EncodeError> {
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => done.extend_from_slice(bytes),
            Piece::Value(expression, format) => {
                let value = expression.value(&Scope { done, ..*scope })?;
                format.write(value, done)?;
            }
            Piece::Each(inner) => {
                for member in scope.members {
                    encode(inner, &Scope { current: Some(*member), ..*scope }, done)?;
                }
            }
            Piece::Repeat(inner, times) => {
                for _ in 0..*times {
                    encode(inner, scope, done)?;
                }
            }
        }
        if done.len() > MAX_PACKET {
            return Err(EncodeError::TooLong(MAX_PACKET));
        }
    }
    Ok(())
}

impl Format {
    const NAMES: [(&'static str, Self); 9] = [
        ("u8", Self::U8),
        ("i8", Self::I8),
        ("u16le", Self::U16Le),
        ("u16be", Self::U16Be),
        ("i16le", Self::I16Le),
        ("i16be", Self::I16Be),
        ("u32le", Self::U32Le),
        ("u32be", Self::U32Be),
        ("dec", Self::Decimal(1)),
    ];

    fn from_name(name: &str) -> Option<Self> {
        let known = Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, format)| format);
        known.or_else(|| {
            let digits = name.strip_prefix("dec")?.parse().ok()?;
            (1..=9).contains(&digits).then_some(Self::Decimal(digits))
        })
    }

    fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, format)| *format == self).map_or("dec", |(name, _)| name)
    }

    fn write(self, value: i64, done: &mut Vec<u8>) -> Result<(), EncodeError> {
        let wrong = |_| EncodeError::DoesNotFit { value, format: self.name() };
        match self {
            Self::U8 => done.push(u8::try_from(value).map_err(wrong)?),
            Self::I8 => done.extend(i8::try_from(value).map_err(wrong)?.to_le_bytes()),
            Self::U16Le => done.extend(u16::try_from(value).map_err(wrong)?.to_le_bytes()),
            Self::U16Be => done.extend(u16::try_from(value).map_err(wrong)?.to_be_bytes()),
            Self::I16Le => done.extend(i16::try_from(value).map_err(wrong)?.to_le_bytes()),
            Self::I16Be => done.extend(i16::try_from(value).map_err(wrong)?.to_be_bytes()),
            Self::U32Le => done.extend(u32::try_from(value).map_err(wrong)?.to_le_bytes()),
            Self::U32Be => done.extend(u32::try_from(value).map_err(wrong)?.to_be_bytes()),
            Self::Decimal(digits) => {
                let sign = if value < 0 { "-" } else { "" };
                done.extend(format!("{sign}{:0digits$}", value.unsigned_abs()).bytes());
            }
        }
        Ok(())
    }
}

struct Reader<'t, 'n> {
    text: Text<'t>,
    parser: Parser<'n>,
    place: Place,
    pieces: usize,
}

impl Reader<'_, '_> {
    /// Pieces up to the closing bracket, or to the end where there is none.
    fn pieces(&mut self, depth: usize, close: Option<char>) -> Result<Vec<Piece>, At> {
        if depth > MAX_DEPTH {
            return Err((self.text.at(), Fault::TooDeep));
        }
        let mut pieces = Vec::new();
        loop {
            self.text.skip_blanks();
            let at = self.text.at();
            self.pieces += 1;
            if self.pieces > MAX_PIECES {
                return Err((at, Fault::TooLong(MAX_PIECES)));
            }
            let before = pieces.len();
            match self.text.peek() {
                next if next == close => {
                    if close.is_some() && pieces.is_empty() {
                        return Err((at, Fault::Empty));
                    }
                    self.text.next();
                    return Ok(pieces);
                }
                None => return Err(self.text.unexpected("a closing bracket")),
                Some('0'..='9' | 'a'..='f' | 'A'..='F') => pieces.push(Piece::Bytes(self.hex()?)),
                Some('"') => self.quoted(&mut pieces)?,
                Some('{') => {
                    let value = self.value(Format::U8)?;
                    pieces.push(value);
                }
                Some('[') if self.place == Place::Packet => {
                    self.text.next();
                    let inner = self.pieces(depth + 1, Some(']'))?;
                    pieces.push(Piece::Each(inner));
                }
                Some('[') => return Err((at, Fault::NotHere(String::from("[")))),
                Some('(') => {
                    self.text.next();
                    let inner = self.pieces(depth + 1, Some(')'))?;
                    pieces.push(Piece::Repeat(inner, 1));
                }
                Some(_) => return Err(self.text.unexpected("a byte, text, `{`, `[` or `(`")),
            }
            self.repeat(&mut pieces, before)?;
        }
    }

    /// Two hexadecimal digits.
    fn hex(&mut self) -> Result<Vec<u8>, At> {
        let at = self.text.at();
        let digits = self.text.take_while(|next| next.is_ascii_alphanumeric());
        match (digits.len(), u8::from_str_radix(digits, 16)) {
            (2, Ok(byte)) => Ok(vec![byte]),
            _ => Err((at, Fault::BadNumber(String::from(digits)))),
        }
    }

    /// `*7` behind a piece: the pieces since `before`, seven times.
    fn repeat(&mut self, pieces: &mut Vec<Piece>, before: usize) -> Result<(), At> {
        self.text.skip_blanks();
        if !self.text.take("*") {
            return Ok(());
        }
        self.text.skip_blanks();
        let at = self.text.at();
        let times = number(&mut self.text)?;
        let times = usize::try_from(times).ok().filter(|times| (1..=MAX_PACKET).contains(times));
        let times = times.ok_or((at, Fault::TooLong(MAX_PACKET)))?;
        let repeated = pieces.split_off(before);
        pieces.push(Piece::Repeat(repeated, times));
        Ok(())
    }

    /// Text between quotation marks, with values in it; they are decimal unless they say otherwise.
    fn quoted(&mut self, pieces: &mut Vec<Piece>) -> Result<(), At> {
        self.text.next();
        let mut bytes = Vec::new();
        loop {
            match self.text.peek() {
                None => return Err(self.text.unexpected("a closing `\"`")),
                Some('"') => {
                    self.text.next();
                    if !bytes.is_empty() {
                        pieces.push(Piece::Bytes(bytes));
                    }
                    return Ok(());
                }
                Some('{') => {
                    if !bytes.is_empty() {
                        pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
                    }
                    let value = self.value(Format::Decimal(1))?;
                    pieces.push(value);
                }
                Some('\\') => {
                    self.text.next();
                    bytes.push(self.escape()?);
                }
                Some(next) => {
                    self.text.next();
                    bytes.extend(next.encode_utf8(&mut [0; 4]).bytes());
                }
            }
        }
    }

    fn escape(&mut self) -> Result<u8, At> {
        let wanted = self.text.unexpected("one of n r t 0 \" \\ {");
        match self.text.next() {
            Some('n') => Ok(b'\n'),
            Some('r') => Ok(b'\r'),
            Some('t') => Ok(b'\t'),
            Some('0') => Ok(0),
            Some('"') => Ok(b'"'),
            Some('\\') => Ok(b'\\'),
            Some('{') => Ok(b'{'),
            _ => Err(wanted),
        }
    }

    /// `{expression}` or `{expression:format}`.
    fn value(&mut self, usual: Format) -> Result<Piece, At> {
        self.text.next();
        let expression = self.parser.part(&mut self.text)?;
        self.text.skip_blanks();
        if self.text.take("}") {
            return Ok(Piece::Value(expression, usual));
        }
        self.text.expect(":")?;
        self.text.skip_blanks();
        let at = self.text.at();
        let word = self.text.take_while(|next| next.is_ascii_alphanumeric());
        let piece = match (Format::from_name(word), &expression, u8::from_str_radix(word, 16)) {
            (Some(format), ..) => Piece::Value(expression, format),
            // `{on:FF}` is FF where something runs and 00 where nothing does.
            (None, Expression::On, Ok(byte)) if word.len() == 2 => {
                let yes = Expression::Constant(i64::from(byte));
                let no = Expression::Constant(0);
                Piece::Value(Expression::Choose(Box::new(expression), Box::new(yes), Box::new(no)), usual)
            }
            _ => return Err((at, Fault::UnknownName(String::from(word)))),
        };
        self.text.expect("}")?;
        Ok(piece)
    }
}
