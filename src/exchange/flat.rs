//! The part of FlatBuffers that ONNX Runtime's adapter files need: tables, strings, vectors.
//!
//! A flatbuffer is a graph of offsets, so a hostile one can point anywhere. Every read is checked
//! against the buffer by position and length: offsets out of the buffer are refused, and
//! allocations are bounded by its content. The binary layout is that of the FlatBuffers
//! specification ("FlatBuffer Internals"): scalars are little-endian; a table starts with the
//! signed distance back to its vtable of 16-bit field positions; offsets are unsigned, have 32
//! bits, and count from their own position.

/// A failed read.
#[derive(Debug)]
pub struct Damage {
    /// The position in the buffer, in bytes.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.what)
    }
}

type Read<T> = Result<T, Damage>;

/// A buffer in which every offset is checked when it is used.
#[derive(Clone, Copy)]
pub struct Buffer<'a>(&'a [u8]);

/// A table inside a buffer.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    buffer: Buffer<'a>,
    at: usize,
    fields_at: usize,
    fields_bytes: usize,
}

impl<'a> Buffer<'a> {
    /// A buffer over unchecked bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The root table of a buffer with this file identifier.
    pub fn root(self, identifier: &[u8; 4]) -> Read<Table<'a>> {
        if self.bytes(4, 4)? != identifier {
            return Err(Damage { at: 4, what: "the file identifier is another one" });
        }
        self.table(self.target(0)?)
    }

    fn bytes(self, at: usize, count: usize) -> Read<&'a [u8]> {
        let end = at.checked_add(count);
        end.and_then(|end| self.0.get(at..end))
            .ok_or(Damage { at, what: "what is to be read here lies outside the file" })
    }

    fn u32(self, at: usize) -> Read<u32> {
        let bytes = self.bytes(at, 4)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn u16(self, at: usize) -> Read<usize> {
        let bytes = self.bytes(at, 2)?;
        Ok(usize::from(bytes[0]) | usize::from(bytes[1]) << 8)
    }

    /// The position that the offset at `at` points to.
    fn target(self, at: usize) -> Read<usize> {
        let offset = self.u32(at)?;
        let target = usize::try_from(offset).ok().and_then(|offset| at.checked_add(offset));
        target.filter(|_| offset != 0).ok_or(Damage { at, what: "an offset leads nowhere" })
    }

    fn table(self, at: usize) -> Read<Table<'a>> {
        let back = i64::from(self.u32(at)?.cast_signed());
        let fields_at = i64::try_from(at).ok().and_then(|at| at.checked_sub(back));
        let fields_at = fields_at.and_then(|position| usize::try_from(position).ok());
        let fields_at =
            fields_at.ok_or(Damage { at, what: "a table's field list lies outside" })?;
        let fields_bytes = self.u16(fields_at)?;
        if fields_bytes < 4 || fields_bytes % 2 != 0 {
            return Err(Damage { at: fields_at, what: "a table's field list has an odd size" });
        }
        self.bytes(fields_at, fields_bytes)?;
        Ok(Table { buffer: self, at, fields_at, fields_bytes })
    }

    /// The start and the number of the elements of the vector at `at`.
    fn vector(self, at: usize, element_bytes: usize) -> Read<(usize, usize)> {
        let count = self.u32(at)? as usize;
        let start = at.saturating_add(4);
        let size = count.checked_mul(element_bytes);
        let size = size.ok_or(Damage { at, what: "a vector is longer than the file" })?;
        self.bytes(start, size)?;
        Ok((start, count))
    }
}

impl<'a> Table<'a> {
    /// The position of field `index`, or `None` when the table omits it.
    fn field(&self, index: usize) -> Read<Option<usize>> {
        let slot = 4 + 2 * index;
        if slot + 2 > self.fields_bytes {
            return Ok(None);
        }
        let distance = self.buffer.u16(self.fields_at + slot)?;
        Ok((distance != 0).then_some(self.at.saturating_add(distance)))
    }

    /// A 32-bit number; 0 when it is omitted.
    pub fn i32(&self, index: usize) -> Read<i32> {
        let at = self.field(index)?;
        at.map_or(Ok(0), |at| self.buffer.u32(at).map(u32::cast_signed))
    }

    /// Text, or `None`.
    pub fn text(&self, index: usize) -> Read<Option<&'a str>> {
        let Some(bytes) = self.bytes(index)? else { return Ok(None) };
        let text = std::str::from_utf8(bytes);
        text.map(Some).map_err(|_| Damage { at: self.at, what: "a name is not UTF-8" })
    }

    /// A vector of bytes, or `None`.
    pub fn bytes(&self, index: usize) -> Read<Option<&'a [u8]>> {
        let Some(at) = self.field(index)? else { return Ok(None) };
        let (start, count) = self.buffer.vector(self.buffer.target(at)?, 1)?;
        self.buffer.bytes(start, count).map(Some)
    }

    /// A vector of at most `count_max` 64-bit numbers, or `None`. Many tables may share one vector,
    /// so the caller, not the file, bounds the size of each copy.
    pub fn i64s(&self, index: usize, count_max: usize) -> Read<Option<Vec<i64>>> {
        let Some(at) = self.field(index)? else { return Ok(None) };
        let target = self.buffer.target(at)?;
        let (start, count) = self.buffer.vector(target, 8)?;
        if count > count_max {
            return Err(Damage { at: target, what: "a shape has more dimensions than any tensor" });
        }
        let (chunks, _) = self.buffer.bytes(start, count * 8)?.as_chunks();
        Ok(Some(chunks.iter().map(|chunk| i64::from_le_bytes(*chunk)).collect()))
    }

    /// A vector of at most `count_max` tables; empty when it is omitted.
    pub fn tables(&self, index: usize, count_max: usize) -> Read<Vec<Table<'a>>> {
        let Some(at) = self.field(index)? else { return Ok(Vec::new()) };
        let target = self.buffer.target(at)?;
        let (start, count) = self.buffer.vector(target, 4)?;
        if count > count_max {
            return Err(Damage { at: target, what: "a list has more entries than any adapter" });
        }
        let positions = (0..count).map(|element| start + 4 * element);
        positions.map(|at| self.buffer.table(self.buffer.target(at)?)).collect()
    }
}

/// Builds a buffer from front to back: each table is written before its targets, and its offsets
/// are set when the targets are written.
pub struct Writer(Vec<u8>);

/// An offset that has not been set yet.
#[must_use]
pub struct Pending(usize);

impl Writer {
    /// A buffer with this identifier, and the offset to its root table.
    pub fn new(identifier: &[u8; 4]) -> (Self, Pending) {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(identifier);
        (Self(bytes), Pending(0))
    }

    /// Sets an offset to the object that is written next, which starts at a multiple of `align`
    /// after `skip` bytes: a vector aligns its elements, not its length.
    fn point(&mut self, pending: Pending, align: usize, skip: usize) {
        while !(self.0.len() + skip).is_multiple_of(align) {
            self.0.push(0);
        }
        let offset = (self.0.len() - pending.0) as u32;
        self.0[pending.0..pending.0 + 4].copy_from_slice(&offset.to_le_bytes());
    }

    /// A table whose fields are all 32 bits wide, numbers and offsets alike; returns the offsets.
    pub fn table<const N: usize>(
        &mut self,
        pending: Pending,
        fields: [Option<i32>; N],
    ) -> [Pending; N] {
        let fields_bytes = 4 + 2 * N;
        // The table starts at a multiple of 4, with its field list directly before it.
        while !(self.0.len() + fields_bytes).is_multiple_of(4) {
            self.0.push(0);
        }
        let numbers =
            [fields_bytes, 4 + 4 * N].into_iter().chain((0..N).map(|field| 4 + 4 * field));
        for number in numbers {
            self.0.extend_from_slice(&(number as u16).to_le_bytes());
        }
        self.point(pending, 4, 0);
        self.0.extend_from_slice(&(fields_bytes as i32).to_le_bytes());
        fields.map(|field| {
            let at = self.0.len();
            self.0.extend_from_slice(&field.unwrap_or(0).to_le_bytes());
            Pending(at)
        })
    }

    /// A vector of bytes whose first element is at a multiple of `align`; text ends in a zero that
    /// its length does not count.
    pub fn bytes(&mut self, pending: Pending, bytes: &[u8], align: usize) {
        self.point(pending, align.max(4), 4);
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self.0.push(0);
    }

    /// A vector of 64-bit numbers.
    pub fn i64s(&mut self, pending: Pending, numbers: &[i64]) {
        self.point(pending, 8, 4);
        self.0.extend_from_slice(&(numbers.len() as u32).to_le_bytes());
        for number in numbers {
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// A vector of offsets that are set later.
    pub fn offsets(&mut self, pending: Pending, count: usize) -> Vec<Pending> {
        self.point(pending, 4, 0);
        self.0.extend_from_slice(&(count as u32).to_le_bytes());
        let start = self.0.len();
        self.0.resize(start + 4 * count, 0);
        (0..count).map(|element| Pending(start + 4 * element)).collect()
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}
