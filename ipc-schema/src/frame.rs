//! Frames of the local socket: a length of four bytes, little endian, and a payload of that many bytes.
//!
//! The length is checked against a limit before anything is kept for it. What the payload means is the business of
//! [`codec`](crate::codec).

/// Bytes of the length in front of a payload.
pub const HEADER_LEN: usize = 4;

/// The largest payload unless configured otherwise, in bytes: room for the device list of a very full house.
pub const DEFAULT_LIMIT: u32 = 1024 * 1024;

/// No limit may be above this, in bytes: the first four letters of an HTTP request, read as a length, must always be over it.
pub const LIMIT_MAX: u32 = 256 * 1024 * 1024;

/// How an HTTP request, and so a WebSocket, begins on the same socket. No frame begins so.
pub const HTTP_GET: [u8; HEADER_LEN] = *b"GET ";

const _: () = assert!(u32::from_le_bytes(HTTP_GET) > LIMIT_MAX, "a frame could be taken for an HTTP request");

/// Why bytes are no frame. The stream cannot be read any further after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The payload would be, or is, longer than allowed.
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    TooLarge {
        /// Length of the payload.
        length: u64,
        /// The limit.
        limit: u32,
    },
    /// The stream ended within a frame.
    #[error("the stream ended within a frame, after {received} bytes of it")]
    Truncated {
        /// Bytes of the frame that came, its header included.
        received: usize,
    },
}

/// Puts a payload into a frame.
///
/// # Errors
/// [`FrameError::TooLarge`] when the payload is over `limit`.
pub fn encode(payload: &[u8], limit: u32) -> Result<Vec<u8>, FrameError> {
    let header = header(payload.len(), limit)?;
    let mut frame = Vec::with_capacity(HEADER_LEN + payload.len());
    frame.extend_from_slice(&header);
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// The header of a payload of `length` bytes.
pub(crate) fn header(length: usize, limit: u32) -> Result<[u8; HEADER_LEN], FrameError> {
    match u32::try_from(length) {
        Ok(fitting) if fitting <= limit => Ok(fitting.to_le_bytes()),
        _ => Err(FrameError::TooLarge { length: u64::try_from(length).unwrap_or(u64::MAX), limit }),
    }
}

/// Takes a stream apart into payloads, however the bytes arrive.
///
/// It keeps at most one unfinished frame and what was pushed last, so its memory is bounded by the limit and the size of a
/// push. After an error it gives nothing more.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that were given out already.
    taken: usize,
    limit: u32,
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// A decoder for payloads of at most `limit` bytes; a limit above [`LIMIT_MAX`] counts as that.
    pub fn new(limit: u32) -> Self {
        Self { buffer: Vec::new(), taken: 0, limit: limit.min(LIMIT_MAX), failed: None }
    }

    /// Takes in bytes as they came. Take out all frames before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole payload, or `None` while it is not all there.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] as soon as a header says so, and again at every later call.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let pending = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((header, rest)) = pending.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let length = u32::from_le_bytes(*header);
        if length > self.limit {
            let error = FrameError::TooLarge { length: u64::from(length), limit: self.limit };
            self.failed = Some(error);
            self.buffer = Vec::new();
            self.taken = 0;
            return Err(error);
        }
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        if rest.len() < length {
            return Ok(None);
        }
        let start = self.taken + HEADER_LEN;
        self.taken = start + length;
        Ok(self.buffer.get(start..self.taken))
    }

    /// To be called when the stream has ended.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when that was within a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.buffer.len() - self.taken {
            0 => Ok(()),
            received => Err(FrameError::Truncated { received }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(decoder: &mut FrameDecoder) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while let Some(payload) = decoder.next_frame().unwrap() {
            found.push(payload.to_vec());
        }
        found
    }

    #[test]
    fn frames_come_out_as_they_went_in_wherever_the_stream_is_cut() {
        let mut stream = Vec::new();
        let payloads: [&[u8]; 4] = [b"one", b"", b"three", &[7; 300]];
        for payload in payloads {
            stream.extend(encode(payload, 300).unwrap());
        }
        for step in 1..stream.len() {
            let mut decoder = FrameDecoder::new(300);
            let mut found = Vec::new();
            for chunk in stream.chunks(step) {
                decoder.push(chunk);
                found.extend(frames(&mut decoder));
            }
            assert_eq!(found, payloads, "cut every {step} bytes");
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_bytes_come() {
        let mut decoder = FrameDecoder::new(10);
        decoder.push(&11_u32.to_le_bytes());
        let error = FrameError::TooLarge { length: 11, limit: 10 };
        assert_eq!(decoder.next_frame(), Err(error));
        decoder.push(&[0; 1000]);
        assert_eq!(decoder.next_frame(), Err(error));
        assert_eq!(decoder.buffer.capacity(), 0);
    }

    #[test]
    fn an_http_request_is_never_a_frame() {
        let mut decoder = FrameDecoder::new(u32::MAX);
        decoder.push(b"GET / HTTP/1.1\r\n");
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLarge { .. })));
    }

    #[test]
    fn the_end_of_the_stream_within_a_frame_is_an_error() {
        let mut decoder = FrameDecoder::new(10);
        decoder.push(&[3, 0, 0, 0, 1, 2]);
        assert_eq!(decoder.next_frame(), Ok(None));
        assert_eq!(decoder.finish(), Err(FrameError::Truncated { received: 6 }));
    }

    #[test]
    fn a_payload_over_the_limit_is_not_encoded() {
        assert_eq!(encode(&[0; 11], 10), Err(FrameError::TooLarge { length: 11, limit: 10 }));
        assert_eq!(encode(&[5], 10), Ok(vec![1, 0, 0, 0, 5]));
    }
}
