//! Dates for people.
//!
//! This module must never use a time zone, so that the output means the same on every machine.

/// Formats milliseconds since 1970 UTC as `2026-03-01 12:30`.
pub fn utc(unix_ms: u64) -> String {
    let minutes = unix_ms / 60_000;
    let (days, minute_of_day) = (minutes / 1440, minutes % 1440);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minute_of_day / 60, minute_of_day % 60)
}

/// The Gregorian date of a number of days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    // Every cycle of 400 years has the same number of days; skipping whole cycles keeps the loop
    // short.
    const CYCLE_DAYS: u64 = 146_097;
    let (mut year, mut rest) = (1970 + 400 * (days / CYCLE_DAYS), days % CYCLE_DAYS);
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // Expected values from `date -u -d @SECONDS`.
        assert_eq!(utc(0), "1970-01-01 00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00");
        assert_eq!(utc(1_767_225_540_000), "2025-12-31 23:59");
        assert_eq!(utc(4_102_444_800_000), "2100-01-01 00:00");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00");
    }
}
