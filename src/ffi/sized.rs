//! Structs that can grow: the first field of each says how large the caller's header makes it.
//!
//! Fields are only ever appended. A caller with an older header passes a smaller size and gets
//! defaults for the fields that it does not know. A caller with a newer header is understood as
//! long as the fields that this library does not know are zero. No byte outside of the stated size
//! may be read or written.

use super::boundary::boundary;
use super::error::{ErrorObject, Status};
use super::object::{invalid, null};
use crate::error::Result;

/// Nobody's struct is larger; a larger size is memory that was never initialised.
const SIZE_MAX: usize = 4096;

/// A struct that crosses the boundary by its bytes.
///
/// # Safety
/// The type is `repr(C)`, begins with `struct_size: u32`, and every bit pattern is a valid value.
pub(super) unsafe trait SizedStruct: Copy {
    /// Its C name, for messages.
    const NAME: &'static str;
    /// Its size in the first release that had it; the smallest size that is accepted.
    const SIZE_FIRST: usize = size_of::<Self>();
}

/// Reads an options struct over `defaults`; NULL means the defaults.
///
/// # Safety
/// `pointer` is NULL or points to `struct_size` readable bytes, where `struct_size` is its first
/// field.
pub(super) unsafe fn read<T: SizedStruct>(pointer: *const T, defaults: T) -> Result<T> {
    if pointer.is_null() {
        return Ok(defaults);
    }
    // SAFETY: the first field is readable by the promise of the caller.
    let size = unsafe { stated_size(pointer) }?;
    // SAFETY: `size` bytes are readable by the promise of the caller, and `size` is bounded.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if let Some(offset) = bytes[known..].iter().position(|&byte| byte != 0) {
        let offset = known + offset;
        return Err(invalid(format!(
            "{} sets a field at byte {offset} that this version, with {known} bytes, does not know",
            T::NAME
        )));
    }
    let mut value = defaults;
    // SAFETY: `known` bytes lie within both; any bytes are a valid `T` (the trait's promise).
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut value).cast::<u8>(), known);
    }
    Ok(value)
}

/// Runs one call that fills a caller's struct, whose size is checked before the call begins.
///
/// # Safety
/// `error` is NULL or writable; `pointer` is NULL or points to as many writable bytes as its first
/// field says.
pub(super) unsafe fn fill<T: SizedStruct>(
    error: *mut *mut ErrorObject,
    name: &str,
    pointer: *mut T,
    value: impl FnOnce() -> Result<T>,
) -> Status {
    // SAFETY: the same promise; the pointer is used only if it is not NULL, and `size` is what the
    // caller's struct states.
    unsafe {
        boundary(error, || {
            if pointer.is_null() {
                return Err(null(name, "a struct to fill, with its struct_size set"));
            }
            let size = stated_size(pointer)?;
            write(pointer, size, &value()?);
            Ok(())
        })
    }
}

/// Fills as much of the caller's struct as it has; its `struct_size` becomes `size`.
///
/// # Safety
/// `pointer` points to `size` writable bytes, and `size` came from [`check_size`].
unsafe fn write<T: SizedStruct>(pointer: *mut T, size: usize, value: &T) {
    let known = size.min(size_of::<T>());
    let stated = u32::try_from(size).unwrap_or(u32::MAX);
    let target = pointer.cast::<u8>();
    // SAFETY: `known` bytes lie within both; the tail up to `size` is the caller's, and is zeroed
    // because zero is what an unknown field means.
    unsafe {
        std::ptr::copy_nonoverlapping(std::ptr::from_ref(value).cast::<u8>(), target, known);
        target.add(known).write_bytes(0, size - known);
        pointer.cast::<u32>().write_unaligned(stated);
    }
}

/// Fills a caller's options struct of `size` bytes with defaults.
///
/// # Safety
/// `error` is NULL or writable; `options` is NULL or points to `size` writable bytes.
pub(super) unsafe fn init<T: SizedStruct>(
    error: *mut *mut ErrorObject,
    options: *mut T,
    size: usize,
    defaults: impl FnOnce() -> T,
) -> Status {
    // SAFETY: the same promise; the pointer is written to only if it is not NULL.
    unsafe {
        boundary(error, || {
            if options.is_null() {
                return Err(null("options", "a struct to fill"));
            }
            write(options, check_size::<T>(size)?, &defaults());
            Ok(())
        })
    }
}

/// Refuses reserved fields that are not zero: a later version will give them a meaning.
pub(super) fn reserved(name: &str, fields: &[u64]) -> Result<()> {
    if fields.iter().all(|&field| field == 0) {
        return Ok(());
    }
    Err(invalid(format!("{name} has a reserved field that is not 0")))
}

/// A flag of a struct: 0 or 1, anything else is memory that was never initialised.
pub(super) fn flag(name: &str, value: u8) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(invalid(format!("`{name}` is {value}, expected 0 or 1"))),
    }
}

/// A count of a struct as Rust counts.
pub(super) fn count(name: &str, value: u64) -> Result<usize> {
    usize::try_from(value)
        .map_err(|_| invalid(format!("`{name}` is {value}, more than memory can hold")))
}

/// A default as a C field; defaults are small, so the cap is never met.
pub(super) fn small(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The number that stands for `value`: its position among all values.
pub(super) fn number<T: PartialEq>(all: &[T], value: T) -> u32 {
    small(all.iter().position(|one| *one == value).unwrap_or(0))
}

/// The value that a number stands for.
pub(super) fn named<T: Copy>(field: &str, all: &[T], number: u32) -> Result<T> {
    let last = all.len() - 1;
    let value = all.get(number as usize).copied();
    value.ok_or_else(|| invalid(format!("`{field}` is {number}, expected 0 to {last}")))
}

/// Refuses sizes that no version of the struct ever had.
fn check_size<T: SizedStruct>(size: usize) -> Result<usize> {
    if (T::SIZE_FIRST..=SIZE_MAX).contains(&size) {
        return Ok(size);
    }
    let (name, expected) = (T::NAME, size_of::<T>());
    Err(invalid(format!(
        "{name} has struct_size {size}, expected sizeof({name}), {expected} in this version"
    )))
}

/// The size that the caller wrote into the first field.
///
/// # Safety
/// `pointer` points to at least four readable bytes.
unsafe fn stated_size<T: SizedStruct>(pointer: *const T) -> Result<usize> {
    // SAFETY: the promise above; unaligned because nothing about the caller's memory is known.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() };
    check_size::<T>(size as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    /// As the first release had it, and as this one does.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Old {
        struct_size: u32,
        first: u32,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct New {
        struct_size: u32,
        first: u32,
        second: u32,
    }
    // SAFETY: repr(C), integers only, `struct_size` first.
    unsafe impl SizedStruct for New {
        const NAME: &'static str = "new";
        const SIZE_FIRST: usize = size_of::<Old>();
    }

    const DEFAULTS: New = New { struct_size: 12, first: 1, second: 2 };

    #[test]
    fn null_means_defaults_and_an_old_caller_gets_defaults_for_new_fields() {
        // SAFETY: NULL, or a local struct with its true size.
        unsafe {
            assert_eq!(read(std::ptr::null(), DEFAULTS).unwrap(), DEFAULTS);
            let old = Old { struct_size: 8, first: 9 };
            let value = read((&raw const old).cast::<New>(), DEFAULTS).unwrap();
            assert_eq!((value.first, value.second), (9, 2));
        }
    }

    #[test]
    fn a_newer_caller_is_understood_while_its_extra_fields_are_zero() {
        let mut newer = [16_u32, 5, 6, 0];
        // SAFETY: four words, 16 bytes, as stated.
        let value = unsafe { read(newer.as_ptr().cast::<New>(), DEFAULTS) }.unwrap();
        assert_eq!((value.first, value.second), (5, 6));
        newer[3] = 1;
        // SAFETY: as above.
        let error = unsafe { read(newer.as_ptr().cast::<New>(), DEFAULTS) }.unwrap_err();
        assert_eq!(error.code(), Code::ArgumentInvalid);
        assert!(error.message().contains("at byte 12"), "{error}");
    }

    #[test]
    fn sizes_that_never_were_are_refused() {
        for size in [0, 1, 7, 4097, u32::MAX] {
            let value = New { struct_size: size, ..DEFAULTS };
            // SAFETY: a local struct; the wrong size is refused before anything is read.
            let error = unsafe { read(&raw const value, DEFAULTS) }.unwrap_err();
            assert_eq!(error.code(), Code::ArgumentInvalid, "{size}");
        }
    }

    #[test]
    fn filling_stays_within_the_callers_size() {
        let mut memory = [8_u32, 0, 77];
        let value = New { struct_size: 12, first: 3, second: 4 };
        // SAFETY: the old size, 8 bytes, is stated; the third word must not be touched.
        let filled = unsafe {
            fill(std::ptr::null_mut(), "entry", memory.as_mut_ptr().cast::<New>(), || Ok(value))
        };
        assert_eq!((filled, memory), (0, [8, 3, 77]));
        let mut memory = [16_u32, 9, 9, 9];
        // SAFETY: 16 bytes are stated and there.
        unsafe { write(memory.as_mut_ptr().cast::<New>(), 16, &value) };
        assert_eq!(memory, [16, 3, 4, 0]);
    }
}
