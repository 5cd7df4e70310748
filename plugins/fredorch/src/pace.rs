//! How long a machine takes for a way at a speed, and which speed to ask for.

/// Milliseconds for a way of 1 to 15 at a speed of 1 to 20.
#[rustfmt::skip]
const TIMES_MS: [[u16; 20]; 15] = [
    [1000, 800, 400, 235, 200, 172, 155, 92, 60, 45, 38, 34, 32, 28, 27, 26, 25, 24, 23, 22],
    [1500, 1000, 800, 680, 600, 515, 425, 265, 165, 115, 80, 70, 50, 48, 45, 35, 34, 33, 32, 30],
    [2500, 2310, 1135, 925, 792, 695, 565, 380, 218, 155, 105, 82, 70, 68, 65, 60, 48, 45, 43, 40],
    [3000, 2800, 1500, 1155, 965, 810, 690, 465, 260, 195, 140, 110, 85, 75, 74, 73, 70, 65, 60, 55],
    [3400, 3232, 2305, 1380, 1200, 1165, 972, 565, 328, 235, 162, 132, 98, 78, 75, 74, 73, 72, 71, 70],
    [3500, 3350, 2500, 1640, 1250, 1210, 1010, 645, 385, 275, 175, 160, 115, 95, 91, 90, 85, 80, 77, 75],
    [3600, 3472, 2980, 2060, 1560, 1275, 1132, 738, 430, 310, 230, 170, 128, 122, 110, 108, 105, 103, 101, 100],
    [3800, 3500, 3055, 2105, 1740, 1370, 1290, 830, 490, 355, 235, 195, 150, 140, 135, 132, 130, 125, 120, 119],
    [3900, 3518, 3190, 2315, 2045, 1510, 1442, 1045, 552, 392, 280, 225, 172, 145, 140, 138, 135, 134, 132, 130],
    [6000, 5755, 3240, 2530, 2135, 1605, 1500, 1200, 595, 425, 285, 245, 175, 170, 160, 155, 150, 145, 142, 140],
    [6428, 5872, 3335, 2780, 2270, 1782, 1590, 1310, 648, 470, 315, 255, 182, 180, 175, 172, 170, 162, 160, 155],
    [6730, 5950, 3490, 2995, 2395, 1890, 1650, 1350, 700, 500, 350, 290, 220, 190, 185, 180, 175, 170, 165, 160],
    [6962, 6122, 3880, 3205, 2465, 1900, 1700, 1400, 835, 545, 375, 310, 228, 195, 190, 185, 182, 181, 180, 175],
    [7945, 6365, 4130, 3470, 2505, 1910, 1755, 1510, 855, 580, 400, 330, 235, 210, 205, 200, 195, 190, 185, 180],
    [8048, 7068, 4442, 3708, 2668, 1930, 1800, 1520, 878, 618, 428, 365, 260, 255, 250, 240, 230, 220, 210, 200],
];

/// A speed as the machine counts it, and how long the way takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) speed: u8,
    pub(crate) takes_ms: u32,
}

impl Pace {
    /// For a way (longer ones count as 15) in a time: the slowest speed that takes less, or else the fastest.
    pub(crate) fn new(way: u32, duration_ms: u32) -> Self {
        let row = way.checked_sub(1).and_then(|row| usize::try_from(row.min(14)).ok());
        let Some(times) = row.and_then(|row| TIMES_MS.get(row)) else {
            return Self { speed: 0, takes_ms: 0 };
        };
        let paces = times.iter().zip(1..).map(|(time, speed)| Self { speed, takes_ms: u32::from(*time) });
        let mut last = Self { speed: 0, takes_ms: 0 };
        for pace in paces {
            last = pace;
            if pace.takes_ms < duration_ms {
                break;
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_speed_that_is_fast_enough_is_taken() {
        assert_eq!(Pace::new(8, 200), Pace { speed: 12, takes_ms: 195 });
        assert_eq!(Pace::new(1, 1001), Pace { speed: 1, takes_ms: 1000 });
        assert_eq!(Pace::new(1, 1000), Pace { speed: 2, takes_ms: 800 }, "less, not as much");
        assert_eq!(Pace::new(15, u32::MAX), Pace { speed: 1, takes_ms: 8048 });
    }

    #[test]
    fn too_short_a_time_gets_the_fastest() {
        assert_eq!(Pace::new(7, 50), Pace { speed: 20, takes_ms: 100 });
        assert_eq!(Pace::new(15, 0), Pace { speed: 20, takes_ms: 200 });
        assert_eq!(Pace::new(u32::MAX, 0), Pace { speed: 20, takes_ms: 200 });
    }

    #[test]
    fn no_way_needs_no_speed() {
        assert_eq!(Pace::new(0, 100), Pace { speed: 0, takes_ms: 0 });
    }
}
