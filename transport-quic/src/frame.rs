//! Frames on a stream: each preceded by its length, four bytes, big-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of the length before a frame.
const HEADER_BYTES: usize = 4;

/// Frames up to this size are copied together, so that many of them are one chunk for the connection.
const COPY_BYTES_MAX: usize = 8 << 10;

/// Room made at once for a frame. Beyond that it grows with what has arrived: a length alone reserves no memory.
const RESERVE_BYTES_MIN: usize = 16 << 10;

/// The sender announces a frame that is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {size} bytes exceeds the limit of {limit}")]
pub(crate) struct FrameTooLarge {
    pub(crate) size: usize,
    pub(crate) limit: usize,
}

/// Writes frames as chunks for a stream: small ones together, long ones without being copied.
pub(crate) fn encode(frames: impl Iterator<Item = Bytes>, chunks: &mut Vec<Bytes>) {
    let mut small = BytesMut::new();
    for frame in frames {
        small.put_u32(u32::try_from(frame.len()).expect("send has checked the size"));
        if frame.len() <= COPY_BYTES_MAX {
            small.extend_from_slice(&frame);
        } else {
            chunks.push(small.split().freeze());
            chunks.push(frame);
        }
    }
    if !small.is_empty() {
        chunks.push(small.freeze());
    }
}

/// Cuts what a stream gives into frames.
#[derive(Debug)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    limit: usize,
}

impl Decoder {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
        }
    }

    /// Allows frames of another size from here on.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes what was read.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, FrameTooLarge> {
        let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let size = u32::from_be_bytes(*header) as usize;
        if size > self.limit {
            return Err(FrameTooLarge {
                size,
                limit: self.limit,
            });
        }
        let whole = HEADER_BYTES + size;
        if self.buffer.len() < whole {
            let arrived = self.buffer.len();
            self.buffer
                .reserve((whole - arrived).min(arrived.max(RESERVE_BYTES_MIN)));
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// The length of the frame that is not whole yet, once that is known. Whole frames have to be taken before.
    pub(crate) fn unfinished(&self) -> Option<usize> {
        let header = self.buffer.first_chunk::<HEADER_BYTES>()?;
        Some(u32::from_be_bytes(*header) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(frames: &[Bytes]) -> Vec<u8> {
        let mut chunks = Vec::new();
        encode(frames.iter().cloned(), &mut chunks);
        chunks.concat()
    }

    #[test]
    fn frames_survive_however_the_stream_is_cut() {
        let frames: Vec<Bytes> = [0, 1, 100, COPY_BYTES_MAX, COPY_BYTES_MAX + 1, 3]
            .iter()
            .enumerate()
            .map(|(index, size)| Bytes::from(vec![index as u8; *size]))
            .collect();
        let stream = encoded(&frames);
        for step in [1, 3, 1000, stream.len()] {
            let mut decoder = Decoder::new(COPY_BYTES_MAX + 1);
            let mut decoded = Vec::new();
            for piece in stream.chunks(step) {
                decoder.extend(piece);
                while let Some(frame) = decoder.next_frame().expect("within the limit") {
                    decoded.push(frame);
                }
            }
            assert_eq!(decoded, frames, "in steps of {step}");
            assert_eq!(decoder.next_frame(), Ok(None));
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_by_its_header_alone() {
        let mut decoder = Decoder::new(10);
        decoder.extend(&11_u32.to_be_bytes());
        let error = decoder.next_frame().expect_err("too large");
        assert_eq!((error.size, error.limit), (11, 10));
    }

    #[test]
    fn a_length_without_the_bytes_reserves_little() {
        let mut decoder = Decoder::new(16 << 20);
        decoder.extend(&(16_u32 << 20).to_be_bytes());
        assert_eq!(decoder.next_frame(), Ok(None));
        assert_eq!(decoder.unfinished(), Some(16 << 20));
        assert!(decoder.buffer.capacity() <= 2 * RESERVE_BYTES_MIN);
        decoder.extend(&vec![0; 1 << 20]);
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.buffer.capacity() <= 4 << 20);
    }

    #[test]
    fn small_frames_become_one_chunk() {
        let mut chunks = Vec::new();
        encode((0..100).map(|_| Bytes::from_static(b"abc")), &mut chunks);
        assert_eq!(chunks.len(), 1);
    }
}
