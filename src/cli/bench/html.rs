//! The page.
use super::metrics::Row;
use super::output::Details;
pub fn page(_rows: &[Row], _details: &[Details]) -> String {
    String::new()
}
