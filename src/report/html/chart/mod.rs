//! Charts: bars, lines and tables of numbers, from plain data to a piece of a page.
//!
//! Input: labelled values, which are fractions (see [`Unit`]). Output: pieces of a page. Each chart
//! prints its numbers beside its marks, distinguishes marks by shape, sign and pattern and not by
//! colour alone, and fits the available width, from a telephone to paper. Colours, patterns and
//! sizes come from the style sheet of [`Page`](super::Page). This module must know nothing of
//! updates.

mod bars;
mod heat;
mod lines;
mod scale;

pub use bars::{Bar, BarGroup, Bars, Fill};
pub use heat::{Cell, Heat, HeatGroup, HeatRow};
pub use lines::{Line, Lines, Panel, Panels, Point};
pub use scale::Unit;

use scale::Scale;
