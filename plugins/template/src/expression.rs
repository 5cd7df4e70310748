//! Expressions: integer arithmetic on the values of outputs, as a tree that is evaluated without loops.
//!
//! Arithmetic is on 64 bits and checked: overflow, division by zero and a value without a table entry are
//! errors, never a wrapped number. Parsing is in `expression_text`.

use std::sync::Arc;

use crate::checksum::Checksum;
use crate::error::EncodeError;
use crate::kind::OutputKind;

/// The most nodes that one expression, with all names in it, may have. Bounds both the time and the depth of
/// an evaluation.
pub(crate) const MAX_NODES: usize = 512;

/// One output and what is known of it while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputState {
    pub(crate) feature: u32,
    pub(crate) kind: OutputKind,
    pub(crate) value: i32,
    pub(crate) previous: i32,
    pub(crate) duration_ms: u32,
    /// The value at which it does nothing.
    pub(crate) rest: i32,
}

impl OutputState {
    /// An output that does nothing yet. What is nearest to 0 in its range is its rest.
    pub(crate) fn new(feature: u32, kind: OutputKind, min: i32, max: i32) -> Self {
        let rest = 0.max(min).min(max.max(min));
        Self { feature, kind, value: rest, previous: rest, duration_ms: 0, rest }
    }

    pub(crate) const fn at_rest(&self) -> bool {
        !self.kind.is_position() && self.value == self.rest
    }
}

/// All that an expression can see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Every output of the model, the most recent of a feature named by `newest`.
    pub(crate) outputs: &'a [OutputState],
    /// Positions in `outputs` of those that the packet carries.
    pub(crate) members: &'a [usize],
    /// Position in `outputs` of the one that the packet, or the group, is being made for.
    pub(crate) current: Option<usize>,
    /// The packet's number.
    pub(crate) seq: u8,
    /// Bytes of the packet made so far.
    pub(crate) done: &'a [u8],
    /// Bytes that came from the device.
    pub(crate) received: &'a [u8],
}

impl Scope<'_> {
    fn current(&self) -> Result<&OutputState, EncodeError> {
        self.current.and_then(|at| self.outputs.get(at)).ok_or(EncodeError::NoOutput)
    }

    fn carried(&self) -> impl Iterator<Item = &OutputState> {
        self.members.iter().filter_map(|at| self.outputs.get(*at))
    }
}

/// Sum, difference, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    ShiftLeft,
    ShiftRight,
    BitAnd,
    BitOr,
    BitXor,
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a function does with its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Min,
    Max,
    Abs,
    Sign,
    Clamp,
    Ceil,
    Nib,
    LaunchSpeed,
    PistonSpeed,
}

/// How wide a received number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    U8,
    I8,
    U16Le,
    U16Be,
    I16Le,
    I16Be,
    U32Le,
    U32Be,
    Decimal,
}

/// Bytes of the packet from one position to another, both included; without an end, to the last byte so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: usize,
    pub(crate) last: Option<usize>,
}

impl Span {
    fn of<'a>(&self, done: &'a [u8]) -> Result<&'a [u8], EncodeError> {
        let end = self.last.map_or(done.len(), |last| last.saturating_add(1));
        done.get(self.first..end).ok_or(EncodeError::NotThere(self.last.unwrap_or(self.first)))
    }
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    Constant(i64),
    /// `v`
    Value,
    /// `p`
    Previous,
    /// `d`
    Duration,
    /// `i`
    Index,
    /// `n`
    Count,
    /// `on`
    On,
    /// `seq`
    Sequence,
    /// `m0`, `m1`, ...
    Feature(u32),
    /// `is(rotate)`
    IsKind(OutputKind),
    Negate(Box<Expression>),
    Not(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Choose(Box<Expression>, Box<Expression>, Box<Expression>),
    Call(Function, Vec<Expression>),
    Table(Arc<[i64]>, Box<Expression>),
    Sum(Checksum, Span),
    Received(Field, Box<Expression>),
}

impl Expression {
    /// The value, or why there is none.
    pub(crate) fn value(&self, scope: &Scope<'_>) -> Result<i64, EncodeError> {
        Ok(match self {
            Self::Constant(number) => *number,
            Self::Value => i64::from(scope.current()?.value),
            Self::Previous => i64::from(scope.current()?.previous),
            Self::Duration => i64::from(scope.current()?.duration_ms),
            Self::Index => i64::from(scope.current()?.feature),
            Self::Count => i64::try_from(scope.members.len()).map_err(|_| EncodeError::Overflow)?,
            Self::On => match scope.current {
                Some(_) => i64::from(!scope.current()?.at_rest()),
                None => i64::from(scope.carried().any(|output| !output.at_rest())),
            },
            Self::Sequence => i64::from(scope.seq),
            Self::Feature(feature) => feature_value(scope.outputs, *feature),
            Self::IsKind(kind) => i64::from(scope.current()?.kind == *kind),
            Self::Negate(inner) => inner.value(scope)?.checked_neg().ok_or(EncodeError::Overflow)?,
            Self::Not(inner) => i64::from(inner.value(scope)? == 0),
            Self::Binary(operator, left, right) => binary(*operator, left, right, scope)?,
            Self::Choose(condition, yes, no) => {
                if condition.value(scope)? != 0 {
                    yes.value(scope)?
                } else {
                    no.value(scope)?
                }
            }
            Self::Call(function, values) => call(*function, values, scope)?,
            Self::Table(entries, at) => {
                let at = at.value(scope)?;
                let entry = usize::try_from(at).ok().and_then(|at| entries.get(at));
                *entry.ok_or(EncodeError::NoEntry(at))?
            }
            Self::Sum(checksum, span) => checksum.over(span.of(scope.done)?),
            Self::Received(field, at) => received(*field, at.value(scope)?, scope.received)?,
        })
    }

    /// Whether it asks for the one output that a packet is made for.
    pub(crate) fn needs_output(&self) -> bool {
        match self {
            Self::Value | Self::Previous | Self::Duration | Self::Index | Self::IsKind(_) => true,
            Self::Constant(_)
            | Self::Count
            | Self::On
            | Self::Sequence
            | Self::Feature(_)
            | Self::Sum(..) => false,
            Self::Negate(inner) | Self::Not(inner) | Self::Table(_, inner) | Self::Received(_, inner) => {
                inner.needs_output()
            }
            Self::Binary(_, left, right) => left.needs_output() || right.needs_output(),
            Self::Choose(condition, yes, no) => {
                condition.needs_output() || yes.needs_output() || no.needs_output()
            }
            Self::Call(_, values) => values.iter().any(Self::needs_output),
        }
    }

    /// Whether it uses the packet's number.
    pub(crate) fn counts(&self) -> bool {
        match self {
            Self::Sequence => true,
            Self::Constant(_)
            | Self::Value
            | Self::Previous
            | Self::Duration
            | Self::Index
            | Self::Count
            | Self::On
            | Self::Feature(_)
            | Self::IsKind(_)
            | Self::Sum(..) => false,
            Self::Negate(inner) | Self::Not(inner) | Self::Table(_, inner) | Self::Received(_, inner) => {
                inner.counts()
            }
            Self::Binary(_, left, right) => left.counts() || right.counts(),
            Self::Choose(condition, yes, no) => condition.counts() || yes.counts() || no.counts(),
            Self::Call(_, values) => values.iter().any(Self::counts),
        }
    }
}

/// The value of a feature: of its outputs the one that is not at 0, else 0; 0 for one that the model lacks.
fn feature_value(outputs: &[OutputState], feature: u32) -> i64 {
    let mut of_feature = outputs.iter().filter(|output| output.feature == feature);
    of_feature.find(|output| output.value != 0).map_or(0, |output| i64::from(output.value))
}

fn binary(
    operator: Operator,
    left: &Expression,
    right: &Expression,
    scope: &Scope<'_>,
) -> Result<i64, EncodeError> {
    let left = left.value(scope)?;
    // `&&` and `||` look at their right side only if it matters, so that it may divide by the left.
    match operator {
        Operator::And if left == 0 => return Ok(0),
        Operator::Or if left != 0 => return Ok(1),
        _ => {}
    }
    let right = right.value(scope)?;
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide if right == 0 => return Err(EncodeError::DivisionByZero),
        Operator::Remainder if right == 0 => return Err(EncodeError::DivisionByZero),
        Operator::Divide => floor_divide(left, right),
        Operator::Remainder => left.checked_rem_euclid(right),
        Operator::ShiftLeft => shift(right).and_then(|by| left.checked_mul(1_i64.checked_shl(by)?)),
        Operator::ShiftRight => shift(right).and_then(|by| left.checked_shr(by)),
        Operator::BitAnd => Some(left & right),
        Operator::BitOr => Some(left | right),
        Operator::BitXor => Some(left ^ right),
        Operator::And | Operator::Or => Some(i64::from(right != 0)),
        Operator::Equal => Some(i64::from(left == right)),
        Operator::NotEqual => Some(i64::from(left != right)),
        Operator::Less => Some(i64::from(left < right)),
        Operator::LessOrEqual => Some(i64::from(left <= right)),
        Operator::Greater => Some(i64::from(left > right)),
        Operator::GreaterOrEqual => Some(i64::from(left >= right)),
    };
    result.ok_or(EncodeError::Overflow)
}

fn shift(by: i64) -> Option<u32> {
    u32::try_from(by).ok().filter(|by| *by < 63)
}

fn floor_divide(left: i64, right: i64) -> Option<i64> {
    let quotient = left.checked_div(right)?;
    let exact = left.checked_rem(right)? == 0;
    if exact || (left < 0) == (right < 0) { Some(quotient) } else { quotient.checked_sub(1) }
}

fn call(function: Function, values: &[Expression], scope: &Scope<'_>) -> Result<i64, EncodeError> {
    let at = |index: usize| values.get(index).map_or(Err(EncodeError::NoOutput), |value| value.value(scope));
    Ok(match function {
        Function::Min | Function::Max => {
            let mut best = at(0)?;
            for value in values.iter().skip(1) {
                let value = value.value(scope)?;
                best = if function == Function::Min { best.min(value) } else { best.max(value) };
            }
            best
        }
        Function::Abs => at(0)?.checked_abs().ok_or(EncodeError::Overflow)?,
        Function::Sign => at(0)?.signum(),
        Function::Clamp => at(0)?.min(at(2)?).max(at(1)?),
        Function::Ceil => {
            let (dividend, divisor) = (at(0)?, at(1)?);
            if divisor == 0 {
                return Err(EncodeError::DivisionByZero);
            }
            let negative = dividend.checked_neg().and_then(|dividend| floor_divide(dividend, divisor));
            negative.and_then(i64::checked_neg).ok_or(EncodeError::Overflow)?
        }
        Function::Nib => {
            let (high, low) = (at(0)?, at(1)?);
            for value in [high, low] {
                if !(0..=15).contains(&value) {
                    return Err(EncodeError::DoesNotFit { value, format: "nib" });
                }
            }
            high * 16 + low
        }
        Function::LaunchSpeed => crate::speed::launch(at(0)?, at(1)?),
        Function::PistonSpeed => crate::speed::piston(at(0)?, at(1)?),
    })
}

fn received(field: Field, at: i64, bytes: &[u8]) -> Result<i64, EncodeError> {
    read_field(field, at, bytes).ok_or(EncodeError::NotReceived(at))
}

fn read_field(field: Field, at: i64, bytes: &[u8]) -> Option<i64> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    Some(match field {
        Field::U8 => i64::from(*rest.first()?),
        Field::I8 => i64::from(i8::from_le_bytes(*rest.first_chunk()?)),
        Field::U16Le => i64::from(u16::from_le_bytes(*rest.first_chunk()?)),
        Field::U16Be => i64::from(u16::from_be_bytes(*rest.first_chunk()?)),
        Field::I16Le => i64::from(i16::from_le_bytes(*rest.first_chunk()?)),
        Field::I16Be => i64::from(i16::from_be_bytes(*rest.first_chunk()?)),
        Field::U32Le => i64::from(u32::from_le_bytes(*rest.first_chunk()?)),
        Field::U32Be => i64::from(u32::from_be_bytes(*rest.first_chunk()?)),
        Field::Decimal => {
            let digits: Vec<u8> = rest.iter().copied().take_while(u8::is_ascii_digit).take(18).collect();
            std::str::from_utf8(&digits).ok()?.parse().ok()?
        }
    })
}
