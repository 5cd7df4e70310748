//! The grammar of expressions.
//!
//! Precedence is C's, loosest first: `? :`, `||`, `&&`, `|`, `^`, `&`, `== !=`, `< <= > >=`, `<< >>`, `+ -`,
//! `* / %`, then `-x` and `!x`. `/` rounds down, `%` is never negative. Numbers are decimal, or hexadecimal after
//! `0x`. A name of `let` stands for its whole expression, as if in brackets.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checksum::Checksum;
use crate::error::Fault;
use crate::expression::{Expression, Field, Function, MAX_NODES, Operator, Span};
use crate::kind::OutputKind;
use crate::text::{At, Text};

/// How deep brackets, conditions and names may nest.
const MAX_DEPTH: usize = 32;

/// The names that a template defines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) expressions: BTreeMap<String, String>,
    pub(crate) tables: BTreeMap<String, Arc<[i64]>>,
}

/// Which words have a meaning where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The bytes of a packet that carries outputs.
    Packet,
    /// The condition of such a packet: no checksums.
    Condition,
    /// A packet without outputs of its own: only its number and checksums.
    Fixed,
    /// The value of an input: only received bytes.
    Received,
    /// The text of a `let`, which is used in any of them.
    Name,
}

/// Reads one expression and leaves the text behind it.
pub(crate) struct Parser<'n> {
    names: &'n Names,
    place: Place,
    nodes: usize,
}

impl<'n> Parser<'n> {
    pub(crate) const fn new(names: &'n Names, place: Place) -> Self {
        Self { names, place, nodes: 0 }
    }

    /// An expression that is the whole text.
    pub(crate) fn whole(&mut self, whole: &str) -> Result<Expression, At> {
        let mut text = Text::new(whole);
        let expression = self.expression(&mut text, 0)?;
        text.skip_blanks();
        if text.peek().is_some() {
            return Err(text.unexpected("an operator or the end"));
        }
        Ok(expression)
    }

    /// An expression inside a pattern, up to whatever cannot belong to it.
    pub(crate) fn part(&mut self, text: &mut Text<'_>) -> Result<Expression, At> {
        self.nodes = 0;
        self.expression(text, 0)
    }

    fn node(&mut self, at: usize, expression: Expression) -> Result<Expression, At> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { Err((at, Fault::TooLong(MAX_NODES))) } else { Ok(expression) }
    }

    fn expression(&mut self, text: &mut Text<'_>, depth: usize) -> Result<Expression, At> {
        if depth > MAX_DEPTH {
            return Err((text.at(), Fault::TooDeep));
        }
        let condition = self.level(text, 0, depth)?;
        text.skip_blanks();
        let at = text.at();
        if !text.take("?") {
            return Ok(condition);
        }
        let yes = self.expression(text, depth + 1)?;
        text.expect(":")?;
        let no = self.expression(text, depth + 1)?;
        self.node(at, Expression::Choose(Box::new(condition), Box::new(yes), Box::new(no)))
    }

    fn level(&mut self, text: &mut Text<'_>, level: usize, depth: usize) -> Result<Expression, At> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary(text, depth);
        };
        let mut left = self.level(text, level + 1, depth)?;
        loop {
            text.skip_blanks();
            let at = text.at();
            let Some(operator) = take_operator(text, operators) else {
                return Ok(left);
            };
            let right = self.level(text, level + 1, depth)?;
            left = self.node(at, Expression::Binary(operator, Box::new(left), Box::new(right)))?;
        }
    }

    fn unary(&mut self, text: &mut Text<'_>, depth: usize) -> Result<Expression, At> {
        if depth > MAX_DEPTH {
            return Err((text.at(), Fault::TooDeep));
        }
        text.skip_blanks();
        let at = text.at();
        if text.take("-") {
            let inner = self.unary(text, depth + 1)?;
            return self.node(at, Expression::Negate(Box::new(inner)));
        }
        if text.take("!") {
            let inner = self.unary(text, depth + 1)?;
            return self.node(at, Expression::Not(Box::new(inner)));
        }
        if text.take("(") {
            let inner = self.expression(text, depth + 1)?;
            text.expect(")")?;
            return Ok(inner);
        }
        match text.peek() {
            Some('0'..='9') => {
                let number = number(text)?;
                self.node(at, Expression::Constant(number))
            }
            Some('a'..='z' | '_') => self.word(text, depth),
            _ => Err(text.unexpected("a number, a word or `(`")),
        }
    }

    fn word(&mut self, text: &mut Text<'_>, depth: usize) -> Result<Expression, At> {
        let at = text.at();
        let word = text.take_while(is_word);
        if let Some(table) = self.names.tables.get(word) {
            text.expect("[")?;
            let index = self.expression(text, depth + 1)?;
            text.expect("]")?;
            return self.node(at, Expression::Table(Arc::clone(table), Box::new(index)));
        }
        if let Some(meaning) = self.names.expressions.get(word) {
            return self.name(word, meaning, at, depth);
        }
        if let Some(expression) = simple_word(word) {
            let allowed = match self.place {
                Place::Packet | Place::Condition | Place::Name => true,
                Place::Fixed => matches!(expression, Expression::Sequence),
                Place::Received => false,
            };
            return if allowed {
                self.node(at, expression)
            } else {
                Err((at, Fault::NotHere(String::from(word))))
            };
        }
        if let Some(checksum) = Checksum::from_name(word) {
            let allowed = matches!(self.place, Place::Packet | Place::Fixed | Place::Name);
            let span = span(text)?;
            return if allowed {
                self.node(at, Expression::Sum(checksum, span))
            } else {
                Err((at, Fault::NotHere(String::from(word))))
            };
        }
        if word == "is" {
            return self.is_kind(text, at);
        }
        if let Some(field) = field(word) {
            if !matches!(self.place, Place::Received | Place::Name) {
                return Err((at, Fault::NotHere(String::from(word))));
            }
            let mut values = self.values(text, depth)?;
            return match (values.pop(), values.is_empty()) {
                (Some(only), true) => self.node(at, Expression::Received(field, Box::new(only))),
                (last, _) => Err((at, arguments(word, "1", values.len() + usize::from(last.is_some())))),
            };
        }
        if let Some((function, wanted, fits)) = function(word) {
            let values = self.values(text, depth)?;
            return if fits(values.len()) {
                self.node(at, Expression::Call(function, values))
            } else {
                Err((at, arguments(word, wanted, values.len())))
            };
        }
        Err((at, Fault::UnknownName(String::from(word))))
    }

    fn name(&mut self, name: &str, meaning: &str, at: usize, depth: usize) -> Result<Expression, At> {
        let mut text = Text::new(meaning);
        let inner = self.expression(&mut text, depth + 1).and_then(|expression| {
            text.skip_blanks();
            match text.peek() {
                None => Ok(expression),
                Some(_) => Err(text.unexpected("an operator or the end")),
            }
        });
        inner.map_err(|(inside, fault)| match fault {
            // A name that uses itself ends here; one report is enough.
            Fault::TooDeep | Fault::TooLong(_) | Fault::InName { .. } => (at, fault),
            fault => {
                let column = Text::column(meaning, inside);
                (at, Fault::InName { name: String::from(name), column, fault: Box::new(fault) })
            }
        })
    }

    fn is_kind(&mut self, text: &mut Text<'_>, at: usize) -> Result<Expression, At> {
        if !matches!(self.place, Place::Packet | Place::Condition | Place::Name) {
            return Err((at, Fault::NotHere(String::from("is"))));
        }
        text.expect("(")?;
        text.skip_blanks();
        let start = text.at();
        let kind = text.take_while(|next| is_word(next) || next == '-');
        let kind = OutputKind::from_name(kind).ok_or((start, Fault::UnknownName(String::from(kind))))?;
        text.expect(")")?;
        self.node(at, Expression::IsKind(kind))
    }

    fn values(&mut self, text: &mut Text<'_>, depth: usize) -> Result<Vec<Expression>, At> {
        text.expect("(")?;
        let mut values = vec![self.expression(text, depth + 1)?];
        loop {
            text.skip_blanks();
            if text.take(")") {
                return Ok(values);
            }
            if !text.take(",") {
                return Err(text.unexpected("`,` or `)`"));
            }
            values.push(self.expression(text, depth + 1)?);
        }
    }
}

/// Whether a template may define this name.
pub(crate) fn may_be_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    let word_of_language = simple_word(name).is_some()
        || Checksum::from_name(name).is_some()
        || field(name).is_some()
        || function(name).is_some()
        || name == "is";
    starts_well && name.chars().all(is_word) && !word_of_language
}

fn is_word(next: char) -> bool {
    next.is_ascii_lowercase() || next.is_ascii_digit() || next == '_'
}

/// A whole number, decimal or after `0x` hexadecimal.
pub(crate) fn number(text: &mut Text<'_>) -> Result<i64, At> {
    let at = text.at();
    let radix = if text.take("0x") { 16 } else { 10 };
    let digits = text.take_while(|next| next.is_ascii_alphanumeric());
    i64::from_str_radix(digits, radix).map_err(|_| (at, Fault::BadNumber(String::from(digits))))
}

fn position(text: &mut Text<'_>) -> Result<usize, At> {
    text.skip_blanks();
    let at = text.at();
    let number = number(text)?;
    usize::try_from(number).map_err(|_| (at, Fault::BadNumber(number.to_string())))
}

fn span(text: &mut Text<'_>) -> Result<Span, At> {
    text.expect("(")?;
    let first = position(text)?;
    text.expect("..")?;
    text.skip_blanks();
    let last = match text.peek() {
        Some(')') => None,
        _ => Some(position(text)?),
    };
    text.expect(")")?;
    Ok(Span { first, last })
}

fn arguments(name: &str, wanted: &'static str, given: usize) -> Fault {
    Fault::Arguments { name: String::from(name), wanted, given }
}

fn simple_word(word: &str) -> Option<Expression> {
    Some(match word {
        "v" => Expression::Value,
        "p" => Expression::Previous,
        "d" => Expression::Duration,
        "i" => Expression::Index,
        "n" => Expression::Count,
        "on" => Expression::On,
        "seq" => Expression::Sequence,
        _ => Expression::Feature(word.strip_prefix('m')?.parse().ok()?),
    })
}

fn field(word: &str) -> Option<Field> {
    Some(match word {
        "u8" => Field::U8,
        "i8" => Field::I8,
        "u16le" => Field::U16Le,
        "u16be" => Field::U16Be,
        "i16le" => Field::I16Le,
        "i16be" => Field::I16Be,
        "u32le" => Field::U32Le,
        "u32be" => Field::U32Be,
        "dec" => Field::Decimal,
        _ => return None,
    })
}

type Fits = fn(usize) -> bool;

fn function(word: &str) -> Option<(Function, &'static str, Fits)> {
    let one: Fits = |given| given == 1;
    let two: Fits = |given| given == 2;
    let three: Fits = |given| given == 3;
    let some: Fits = |given| given >= 2;
    Some(match word {
        "min" => (Function::Min, "2 or more", some),
        "max" => (Function::Max, "2 or more", some),
        "abs" => (Function::Abs, "1", one),
        "sign" => (Function::Sign, "1", one),
        "clamp" => (Function::Clamp, "3", three),
        "ceil" => (Function::Ceil, "2", two),
        "nib" => (Function::Nib, "2", two),
        "launch_speed" => (Function::LaunchSpeed, "2", two),
        "piston_speed" => (Function::PistonSpeed, "2", two),
        _ => return None,
    })
}

/// Operators by level, the loosest first; inside a level the longer word first.
const LEVELS: [&[(&str, Operator)]; 10] = [
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[("|", Operator::BitOr)],
    &[("^", Operator::BitXor)],
    &[("&", Operator::BitAnd)],
    &[("==", Operator::Equal), ("!=", Operator::NotEqual)],
    &[
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("<<", Operator::ShiftLeft), (">>", Operator::ShiftRight)],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];

fn take_operator(text: &mut Text<'_>, operators: &[(&str, Operator)]) -> Option<Operator> {
    operators.iter().find_map(|(word, operator)| {
        let mut ahead = text.clone();
        if !ahead.take(word) {
            return None;
        }
        // `|`, `&`, `<` and `>` are also the beginning of a longer word of another level.
        let longer = match *word {
            "|" | "&" => ahead.peek() == word.chars().next(),
            "<" | ">" => ahead.peek() == word.chars().next() || ahead.peek() == Some('='),
            _ => false,
        };
        if longer {
            return None;
        }
        *text = ahead;
        Some(*operator)
    })
}
