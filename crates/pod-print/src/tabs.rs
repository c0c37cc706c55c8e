//! Columns that align wherever neighbouring lines have the same cell: the elastic tab stops of Go's `text/tabwriter`.
//!
//! A cell is text that a tab ends. A column is the run of consecutive lines that have such a cell at the same place; it is as wide as
//! its widest cell and the padding. Text after a line's last tab belongs to no column, so it is never padded.

/// Lays out text with tabs in it. `minimum` is the least width of a column, `padding` what is added to its widest cell.
pub fn align(text: &str, minimum: usize, padding: usize) -> String {
    let lines: Vec<Vec<&str>> = text
        .split_inclusive('\n')
        .map(|line| {
            line.strip_suffix('\n')
                .unwrap_or(line)
                .split('\t')
                .collect()
        })
        .collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths: Vec<Vec<usize>> = vec![Vec::new(); lines.len()];
    for column in 0..columns {
        let mut run: Vec<usize> = Vec::new();
        let mut width = minimum;
        for (i, cells) in lines.iter().enumerate() {
            let ended = cells.len().saturating_sub(1);
            match cells.get(column) {
                Some(cell) if column < ended => {
                    width = width.max(cell.chars().count() + padding);
                    run.push(i);
                }
                _ => close(&mut run, &mut width, &mut widths, minimum),
            }
        }
        close(&mut run, &mut width, &mut widths, minimum);
    }
    let mut out = String::with_capacity(text.len() * 2);
    for (cells, widths) in lines.iter().zip(&widths) {
        for (column, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths.get(column) {
                out.extend(std::iter::repeat_n(
                    ' ',
                    width.saturating_sub(cell.chars().count()),
                ));
            }
        }
        out.push('\n');
    }
    out
}

fn close(run: &mut Vec<usize>, width: &mut usize, widths: &mut [Vec<usize>], minimum: usize) {
    for i in run.drain(..) {
        if let Some(line) = widths.get_mut(i) {
            line.push(*width);
        }
    }
    *width = minimum;
}

/// Text of indented lines with tabs, to be laid out by [`align`]; a level is two spaces.
#[derive(Debug, Default)]
pub struct Indented(String);

impl Indented {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// One line at that level.
    pub fn line(&mut self, level: usize, line: impl AsRef<str>) {
        self.0.extend(std::iter::repeat_n("  ", level));
        self.0.push_str(&crate::text::harmless(line.as_ref()));
        self.0.push('\n');
    }

    /// The text, tabs and all.
    pub fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell_among_neighbours() {
        let text = "Name:\tp\nNamespace:\tdefault\nContainers:\n  c:\n    Image:\tx\n    Restart Count:\t0\n";
        assert_eq!(
            align(text, 0, 2),
            "Name:       p\nNamespace:  default\nContainers:\n  c:\n    Image:          x\n    Restart Count:  0\n"
        );
    }

    #[test]
    fn text_after_the_last_tab_is_not_padded() {
        assert_eq!(align("a\tb\nlong\tc\n", 6, 3), "a      b\nlong   c\n");
        assert_eq!(align("a\t\n", 0, 2), "a  \n");
    }

    #[test]
    fn a_line_without_the_cell_ends_the_column() {
        assert_eq!(
            align("a\tb\tc\nlonger\td\nx\ty\tz\n", 0, 1),
            "a      b c\nlonger d\nx      y z\n"
        );
    }

    #[test]
    fn width_is_counted_in_characters() {
        assert_eq!(align("等待\tb\nab\tc\n", 0, 1), "等待 b\nab c\n");
    }
}
