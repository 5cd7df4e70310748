//! Speed bytes of strokers that are told how fast to move, from the way and the time that a client asks for.
//!
//! Two curves, each fitted to the hardware of one family by those who measured it. They are functions of the
//! language because five protocols need them; a curve that one protocol has belongs into code.

/// Fleshlight Launch and its Kiiroo successors: 0..99 for a way of `distance` (of 99) in `duration_ms`.
///
/// The published curve yields more than 99 for fast moves; the hardware ignores those, so 99 is the most.
/// A way without time is as fast as can be; no way needs no speed.
pub(crate) fn launch(distance: i64, duration_ms: i64) -> i64 {
    let way = unit(distance, 99);
    if way <= 0.0 {
        return 0;
    }
    let time = f64::from(clamp_u32(duration_ms)) * 90.0 / (way * 100.0);
    limited(250.0 * time.powf(-1.05) * 99.0, 99)
}

/// Vorze Piston: 0..100 for a way of `distance` (of 200) in `duration_ms`; no way is taken at full speed.
pub(crate) fn piston(distance: i64, duration_ms: i64) -> i64 {
    let way = f64::from(clamp_u32(distance));
    if way <= 0.0 {
        return 100;
    }
    let time = 200.0 * f64::from(clamp_u32(duration_ms)) / way;
    limited((time / 6658.0).powf(-1.21), 100)
}

fn unit(distance: i64, whole: u32) -> f64 {
    (f64::from(clamp_u32(distance)) / f64::from(whole)).min(1.0)
}

fn clamp_u32(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

/// The whole part of a speed, at most `most`. Counted up to, since the lint against casts is right to be strict.
fn limited(speed: f64, most: i32) -> i64 {
    i64::from((1..=most).take_while(|step| f64::from(*step) <= speed).last().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launch_curve_meets_the_measured_points() {
        for (distance, duration, wanted) in
            [(99, 1000, 19), (99, 500, 40), (50, 500, 19), (10, 100, 19), (1, 500, 0), (0, 500, 0), (0, 0, 0)]
        {
            assert_eq!(launch(distance, duration), wanted, "{distance} in {duration} ms");
        }
    }

    #[test]
    fn launch_curve_stays_within_what_the_hardware_takes() {
        for duration in [0, 1, 150, 200] {
            assert_eq!(launch(99, duration), 99, "{duration} ms");
        }
        assert_eq!(launch(i64::MAX, i64::MIN), 99);
    }

    #[test]
    fn piston_curve_meets_the_measured_points() {
        for (distance, duration, wanted) in [
            (99, 500, 9),
            (99, 150, 42),
            (99, 100, 68),
            (10, 1000, 0),
            (190, 150, 92),
            (0, 500, 100),
            (5, 0, 100),
        ] {
            assert_eq!(piston(distance, duration), wanted, "{distance} in {duration} ms");
        }
    }
}
