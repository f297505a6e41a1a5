//! Texts in columns, and texts in lines, no wider than a terminal.

use anstyle::Style;

/// Texts in columns. A column that is empty in every row is left out.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A text, and how it looks where there are colours.
pub(super) struct Cell {
    text: String,
    style: Style,
}

struct Column {
    title: String,
    align: Align,
    /// It may be cut to this many characters where the row is too wide.
    least: usize,
}

/// The side a column's texts stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

impl Table {
    pub(super) fn new() -> Table {
        Table {
            columns: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// One more column; its texts are cut to `least` characters at most.
    pub(super) fn column(mut self, title: impl Into<String>, align: Align, least: usize) -> Table {
        self.columns.push(Column {
            title: title.into(),
            align,
            least,
        });
        self
    }

    /// A text for each column.
    pub(super) fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Its lines, each at most `width` characters wide as far as the columns can be cut.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        let widths = self.widths(width);
        let titles = self
            .columns
            .iter()
            .map(|column| column.title.clone().into());
        let head = self.line(&titles.collect::<Vec<_>>(), &widths);
        let rows = self.rows.iter().map(|row| self.line(row, &widths));
        std::iter::once(head).chain(rows).collect()
    }

    /// How wide each column is; 0: it is left out.
    fn widths(&self, width: usize) -> Vec<usize> {
        let widest = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells
                .map(|cell| length(&cell.text))
                .max()
                .unwrap_or_default()
        };
        let columns = self.columns.iter().enumerate();
        let mut widths: Vec<usize> = columns
            .map(|(at, column)| match widest(at) {
                0 => 0,
                widest => widest.max(length(&column.title)),
            })
            .collect();
        loop {
            let shown = widths.iter().filter(|width| **width > 0).count();
            let total = widths.iter().sum::<usize>() + GAP * shown.saturating_sub(1);
            let cuttable = widths.iter_mut().zip(&self.columns);
            let cuttable = cuttable.filter(|(width, column)| {
                **width > column.least.max(length(&column.title)) && **width > 0
            });
            match cuttable.max_by_key(|(width, _)| **width) {
                Some((widest, _)) if total > width => *widest -= 1,
                _ => return widths,
            }
        }
    }

    fn line(&self, cells: &[Cell], widths: &[usize]) -> String {
        let cells = self.columns.iter().zip(cells).zip(widths);
        let shown = cells.filter(|(_, width)| **width > 0);
        let padded = shown.map(|((column, Cell { text, style }), width)| {
            let text = cut(text, *width);
            let space = " ".repeat(width.saturating_sub(length(&text)));
            let cell = match style.is_plain() {
                true => text,
                false => format!("{style}{text}{style:#}"),
            };
            match column.align {
                Align::Left => cell + &space,
                Align::Right => space + &cell,
            }
        });
        let line = padded.collect::<Vec<_>>().join(&" ".repeat(GAP));
        line.trim_end().to_owned()
    }
}

impl Cell {
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell {
            text: text.into(),
            style,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::styled(text, Style::new())
    }
}

/// A text in lines of at most `width` characters, as far as its words allow; all but the
/// first are indented.
pub(super) fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    let start = text.len() - text.trim_start().len();
    let indent = " ".repeat(start + GAP);
    wrapped.push_str(text.get(..start).unwrap_or_default());
    column += start;
    for word in text.split_whitespace() {
        let is_first = column <= start;
        let is_too_wide = column + 1 + length(word) > width;
        if !is_first && is_too_wide {
            wrapped.push('\n');
            wrapped.push_str(&indent);
            column = length(&indent);
        } else if !is_first {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length(word);
    }
    wrapped
}

fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(['…']).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Between two columns.
const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    fn table(rows: &[[&str; 4]]) -> Table {
        let mut table = Table::new()
            .column("name", Align::Left, 4)
            .column("port", Align::Right, 5)
            .column("part", Align::Left, 9)
            .column("error", Align::Left, 8);
        for row in rows {
            table.row(row.iter().map(|cell| (*cell).to_owned()));
        }
        table
    }

    #[test]
    fn columns_that_say_nothing_are_left_out_and_wide_ones_are_cut() {
        let lines = table(&[["r1", "443", "", ""], ["r22222", "80", "", ""]]).lines(100);
        assert_eq!(lines, ["name    port", "r1       443", "r22222    80"]);
        let error = "rethinkdb: no primary replica";
        let lines = table(&[["r1", "443", "garant", error]]).lines(36);
        assert_eq!(
            lines,
            [
                "name  port  part    error",
                "r1     443  garant  rethinkdb: no p…"
            ]
        );
        let narrow = table(&[["r1", "443", "garant", error]]).lines(10);
        assert_eq!(narrow[1], "r1     443  garant  rethink…", "no further");
    }

    #[test]
    fn a_colour_takes_no_room() {
        let mut table = Table::new()
            .column("name", Align::Left, 4)
            .column("state", Align::Left, 5);
        let red = AnsiColor::Red.on_default();
        table.row([Cell::styled("r1", red), Cell::styled("down", red)]);
        table.row(["r2".to_owned(), "up".to_owned()]);
        let lines = table.lines(100);
        assert_eq!(
            lines,
            [
                "name  state",
                "\u{1b}[31mr1\u{1b}[0m    \u{1b}[31mdown\u{1b}[0m",
                "r2    up"
            ]
        );
    }

    #[test]
    fn a_long_text_goes_on_below_its_beginning() {
        let cases = [
            ("  one two", 80, "  one two"),
            ("  one two three", 10, "  one two\n    three"),
            ("averylongword here", 8, "averylongword\n  here"),
            ("", 8, ""),
        ];
        for (text, width, expected) in cases {
            assert_eq!(wrap(text, width), expected, "{text:?}");
        }
    }
}
