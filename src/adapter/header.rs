//! Scans the header of a safetensors file before it is parsed, so that parsing stays within memory
//! and time.
//!
//! The header is JSON of at most 100 MB by the format's own rule. That is room for a million
//! tensors without values, which take seconds and gigabytes as maps of names. This scan allocates
//! nothing: it counts objects and separators outside of strings. It judges size only and leaves all
//! other errors to the parser.

use safetensors::SafeTensors;

/// The largest number of tensors in an adapter file. A backbone of 100 layers with every kind of
/// adapter at every site needs a tenth of it.
pub const TENSORS_MAX: usize = 1 << 16;

/// The largest number of separators in a header per tensor: three fields, two offsets and the
/// dimensions.
const SEPARATORS_PER_TENSOR_MAX: usize = 16;

/// Opens a file that has at most `tensors_max` tensors.
///
/// # Errors
/// A text that says what is wrong; the caller adds the name of the file.
pub fn open_tensors(bytes: &[u8], tensors_max: usize) -> Result<SafeTensors<'_>, String> {
    check(bytes, tensors_max)?;
    SafeTensors::deserialize(bytes).map_err(|cause| cause.to_string())
}

fn check(bytes: &[u8], tensors_max: usize) -> Result<(), String> {
    let Some((size, rest)) = bytes.split_first_chunk::<8>() else { return Ok(()) };
    let size = usize::try_from(u64::from_le_bytes(*size)).unwrap_or(usize::MAX);
    let Some(header) = rest.get(..size) else { return Ok(()) };
    let (mut objects, mut separators, mut in_text, mut escaped) = (0, 0, false, false);
    for byte in header {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' if !in_text => objects += 1,
            b',' if !in_text => separators += 1,
            _ => {}
        }
    }
    // The header itself and the metadata are two more objects.
    if objects > tensors_max + 2 || separators / SEPARATORS_PER_TENSOR_MAX > tensors_max {
        return Err(format!("the header describes more than {tensors_max} tensors"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
    }

    fn empty_tensors(count: usize) -> Vec<u8> {
        let entry =
            |index| format!(r#""{index}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
        let entries: Vec<String> = (0..count).map(entry).collect();
        file(&format!("{{{}}}", entries.join(",")))
    }

    #[test]
    fn tensors_are_counted_before_they_are_parsed() {
        assert_eq!(open_tensors(&empty_tensors(7), 7).map(|file| file.len()), Ok(7));
        let refused = open_tensors(&empty_tensors(12), 9).map(|file| file.len());
        assert_eq!(refused, Err("the header describes more than 9 tensors".to_owned()));
    }

    #[test]
    fn dimensions_are_counted_and_texts_are_not() {
        let shape = vec!["1"; 400].join(",");
        let long = format!(r#"{{"a":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,4]}}}}"#);
        assert!(open_tensors(&file(&long), 9).is_err_and(|what| what.contains("more than 9")));
        let text = "{,".repeat(1_000) + r#"\"{,"#;
        let texts = file(&format!(r#"{{"__metadata__":{{"description":"{text}"}}}}"#));
        assert_eq!(open_tensors(&texts, 1).map(|file| file.len()), Ok(0));
    }

    #[test]
    fn bytes_that_are_no_file_are_left_to_the_parser() {
        for bytes in [&b""[..], b"12", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\x02\0\0\0\0\0\0\0{}"]
        {
            assert_eq!(
                open_tensors(bytes, 1).is_ok(),
                SafeTensors::deserialize(bytes).is_ok(),
                "{bytes:?}"
            );
        }
    }
}
