//! Values as people type them: amounts (`50%`, `10`) and times (`500ms`, `10s`, `2m`).

use std::str::FromStr;
use std::time::Duration;

/// How much: a fraction of an output's range, or a step of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Amount {
    /// -1 to 1.
    Fraction(f64),
    /// In the output's own range, which is not known yet.
    Steps(i32),
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(percent) = text.strip_suffix('%') {
            return match percent.trim().parse::<f64>() {
                Ok(percent) if (-100.0..=100.0).contains(&percent) => Ok(Self::Fraction(percent / 100.0)),
                _ => Err("a percentage lies between -100% and 100%".into()),
            };
        }
        text.parse().map(Self::Steps).map_err(|_| "give a percentage such as 50%, or a whole number".into())
    }
}

/// Reads a time; a number alone is in seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{unit}` is no unit of time: use ms, s, m or h")),
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * seconds).ok())
        .ok_or_else(|| "give a time such as 500ms, 10s or 2m".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_steps_or_percentages() {
        assert_eq!("7".parse(), Ok(Amount::Steps(7)));
        assert_eq!("-2".parse(), Ok(Amount::Steps(-2)));
        assert_eq!("12.5%".parse(), Ok(Amount::Fraction(0.125)));
        for bad in ["", "%", "0.5", "101%", "NaN%", "9999999999", "half"] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in [("3", 3000), ("0.5s", 500), ("250ms", 250), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "-1s", "1 fortnight", "ever", "1e300h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
