//! Sizes in bytes for people.

/// A size for people: bytes below 1000, otherwise kB, MB or GB with three digits.
pub fn size(size_bytes: u64) -> String {
    if size_bytes < 1000 {
        return format!("{size_bytes} B");
    }
    let mut value = size_bytes as f64 / 1000.0;
    for unit in ["kB", "MB"] {
        if value < 999.5 {
            let decimals = if value < 9.95 { 2 } else { usize::from(value < 99.5) };
            return format!("{value:.decimals$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.2} GB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let shown: Vec<String> =
            [0, 999, 1_000, 9_999, 99_960, 470_300_000, 1_234_000_000].map(size).to_vec();
        assert_eq!(shown, ["0 B", "999 B", "1.00 kB", "10.0 kB", "100 kB", "470 MB", "1.23 GB"]);
    }
}
