//! The table of `get`: columns at least 6 wide, 3 spaces between them.

use crate::tabs;
use crate::text::harmless;

/// Rows under a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Header, in capitals.
    pub header: Vec<String>,
    /// One row an object, as long as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with that header and no rows.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self {
            header: header.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// The whole as text, with or without the header.
    pub fn render(&self, with_header: bool) -> String {
        let mut text = String::new();
        let header = with_header.then_some(&self.header);
        for row in header.into_iter().chain(&self.rows) {
            let cells: Vec<String> = row.iter().map(|cell| one_line(cell)).collect();
            text.push_str(&cells.join("\t"));
            text.push('\n');
        }
        tabs::align(&text, 6, 3)
    }
}

/// A cell holds one line: kubectl cuts at the first line break and says so by dots.
fn one_line(cell: &str) -> String {
    let line = cell.split(['\n', '\u{b}', '\u{c}', '\r']).next();
    match line {
        Some(line) if line.len() < cell.len() => format!("{}...", harmless(line)),
        _ => harmless(cell),
    }
    .replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_three_spaces_apart_and_the_last_one_is_not_padded() {
        let mut table = Table::new(["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
        table.rows.push(
            ["myapp-pod", "0/1", "Init:0/2", "0", "5s"]
                .map(String::from)
                .to_vec(),
        );
        assert_eq!(
            table.render(true),
            "NAME        READY   STATUS     RESTARTS   AGE\nmyapp-pod   0/1     Init:0/2   0          5s\n"
        );
        assert_eq!(
            table.render(false),
            "myapp-pod   0/1   Init:0/2   0     5s\n"
        );
    }

    #[test]
    fn a_cell_of_several_lines_shows_its_first() {
        let mut table = Table::new(["A", "B"]);
        table.rows.push(vec!["x\ny".to_owned(), "z\tz".to_owned()]);
        assert_eq!(table.render(false), "x...   z z\n");
    }
}
