//! Charts: bars, lines and tables of numbers, from plain data to a piece of a page.
//!
//! They know nothing of updates, so whoever has labelled values can draw them. Values are fractions
//! (see [`Unit`]). Each chart prints its numbers beside its marks, tells marks apart by shape, sign
//! and pattern and not by colour alone, and takes the width it is given, from a telephone to paper.
//! Colours, patterns and sizes come from the style sheet of [`Page`](super::Page).

mod bars;
mod heat;
mod lines;
mod scale;

pub use bars::{Bar, BarGroup, Bars, Fill};
pub use heat::{Cell, Heat, HeatGroup, HeatRow};
pub use lines::{Line, Lines, Panel, Panels, Point};
pub use scale::Unit;

use scale::Scale;
