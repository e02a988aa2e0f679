//! A table whose cells are pieces of a page.

use super::markup::Html;
use crate::report::Align;

/// A table that scrolls sideways on a narrow screen.
///
/// `columns` are the headings with the alignment of their cells; the first cell of a row is its
/// heading. Missing cells are empty; cells beyond the last column are dropped.
pub fn table(caption: &str, columns: &[(&str, Align)], rows: &[Vec<Html>]) -> Html {
    let class = |align: Align| if align == Align::Right { "number" } else { "words" };
    let table = Html::of("table", &[("class", &"listing")], |table| {
        table.element("thead", &[], |head| {
            head.element("tr", &[], |row| {
                for (name, align) in columns {
                    row.leaf("th", &[("scope", &"col"), ("class", &class(*align))], name);
                }
            });
        });
        table.element("tbody", &[], |body| {
            for cells in rows {
                body.line();
                body.element("tr", &[], |row| {
                    for (index, (_, align)) in columns.iter().enumerate() {
                        let class = class(*align);
                        let fill =
                            |cell: &mut Html| cells.get(index).iter().for_each(|c| cell.push(c));
                        match index {
                            0 => row.element("th", &[("scope", &"row"), ("class", &class)], fill),
                            _ => row.element("td", &[("class", &class)], fill),
                        }
                    }
                });
            }
        });
    });
    scrolling(caption, &table)
}

/// A table in a frame that scrolls sideways, below a caption that does not scroll: the width of the
/// table's own caption would depend on its columns.
pub(super) fn scrolling(caption: &str, table: &Html) -> Html {
    Html::of("figure", &[], |figure| {
        figure.leaf("figcaption", &[], caption);
        let frame = |wide: &mut Html| wide.push(table);
        figure.element("div", &[("class", &"wide"), ("tabindex", &0)], frame);
    })
}
