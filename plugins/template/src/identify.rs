//! From bytes to the identifier of a model.
//!
//! Which bytes those are, the advertised name, manufacturer data or an answer, is decided by the caller.

use plugin_sdk::{Failure, ManufacturerData, Ops};

use crate::program::Identify;
use crate::source::{IdentifierForm, NoIdentifier};

/// The longest identifier. A device that says more says nonsense.
const MAX_IDENTIFIER: usize = 256;

/// The advertisement's bytes that name the model, if it has them.
pub(crate) fn advertised<'d>(identify: &Identify, data: &'d [ManufacturerData]) -> Option<&'d [u8]> {
    let wanted = identify.manufacturer.as_ref()?;
    let entry = data.iter().find(|entry| {
        entry.company == u32::from(wanted.company)
            && wanted.length.is_none_or(|length| length == entry.data.len())
    });
    entry.map(|entry| entry.data.as_slice())
}

/// Ends identification with the identifier in these bytes, or with what the template says where there is none.
pub(crate) fn conclude(
    identify: &Identify,
    bytes: Option<&[u8]>,
    name: &str,
    ops: &mut Ops<'_>,
) -> Result<(), Failure> {
    let found = bytes.and_then(|bytes| identifier(identify, bytes));
    let identifier = match (found, identify.otherwise) {
        (Some(identifier), _) => identifier,
        (None, NoIdentifier::Name) => String::from(name),
        (None, NoIdentifier::Default) => String::new(),
        (None, NoIdentifier::Fail) => {
            return Err(Failure::bad_reply("what the device says names no model"));
        }
    };
    match &identify.hand_over {
        Some(other) if !other.unless.contains(&identifier) => ops.hand_over(&other.to, &identifier),
        Some(_) | None => ops.identified(&identifier),
    }
    Ok(())
}

fn identifier(identify: &Identify, bytes: &[u8]) -> Option<String> {
    let bytes = match identify.slice {
        Some([first, last]) => bytes.get(first..=last)?,
        None => bytes,
    };
    if bytes.is_empty() || bytes.len() > MAX_IDENTIFIER {
        return None;
    }
    match identify.form {
        IdentifierForm::Text => {
            let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
            let text = text.rsplit(identify.after.as_slice()).next()?;
            let text = text.split(identify.before.as_slice()).next()?;
            (!text.is_empty()).then(|| String::from(text))
        }
        IdentifierForm::Hex => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        IdentifierForm::Decimal if bytes.len() <= 8 => {
            Some(bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)).to_string())
        }
        IdentifierForm::Decimal => None,
    }
}
