//! The book of indexes that the service keeps of its devices.

use engine::definition::indices::IndexBook;

/// Any text: a book that can be read is the same after it was saved.
pub fn indexes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match IndexBook::load(text) {
        Ok(book) => assert_eq!(IndexBook::load(&book.save()), Ok(book)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
