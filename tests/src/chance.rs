//! A source of numbers that is the same in every run: what a test does at random it does again when it is run again.

/// The numbers that follow from one.
#[derive(Debug, Clone)]
pub struct Chance(pub u64);

impl Chance {
    /// A number below the limit; 0 if that is 0.
    ///
    /// # Panics
    /// Never: 31 bits fit into a `usize`.
    #[expect(clippy::expect_used, reason = "31 bits fit")]
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        usize::try_from((mixed ^ (mixed >> 27)) >> 33).expect("31 bits fit") % limit.max(1)
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        let [byte, ..] = self.below(256).to_le_bytes();
        byte
    }

    /// One of them, unless there is none.
    pub fn one_of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.below(all.len())).cloned()
    }
}
