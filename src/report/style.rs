//! Colours and tables for a terminal.

use owo_colors::OwoColorize;
use unicode_width::UnicodeWidthStr;

use crate::study::printable::printable;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns.
    pub width: usize,
    /// Colours and bold type.
    pub colour: bool,
}

impl Default for Style {
    /// 100 columns, no colours: what a file or a pipe gets.
    fn default() -> Self {
        Self { width: 100, colour: false }
    }
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Itself.
    Plain,
    /// A heading or a name.
    Strong,
    /// An aside.
    Dim,
    /// As expected.
    Good,
    /// Otherwise.
    Bad,
    /// Undecided, or a warning.
    Doubt,
}

impl Style {
    /// The text in its tone; what a terminal would obey is escaped.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let text = printable(text);
        if !self.colour || text.is_empty() {
            return text.into_owned();
        }
        match tone {
            Tone::Plain => text.into_owned(),
            Tone::Strong => text.bold().to_string(),
            Tone::Dim => text.dimmed().to_string(),
            Tone::Good => text.green().to_string(),
            Tone::Bad => text.red().bold().to_string(),
            Tone::Doubt => text.yellow().to_string(),
        }
    }

    /// Lines of `text` no wider than the terminal, each after `indent` spaces; words are kept whole, and what a terminal
    /// would obey is escaped.
    pub fn wrap(&self, text: &str, indent: usize) -> Vec<String> {
        let room = self.width.saturating_sub(indent).max(20);
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let word = &*printable(word);
            if !line.is_empty() && line.width() + 1 + word.width() > room {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines.into_iter().map(|line| format!("{:indent$}{line}", "")).collect()
    }
}

/// A piece of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text in a tone; what a terminal would obey is escaped.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: printable(&text.into()).into_owned(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Rows of cells in columns as wide as their widest cell, two spaces apart.
#[derive(Debug, Default)]
pub struct Grid {
    rows: Vec<Vec<Cell>>,
    right: Vec<bool>,
    flexible: Option<usize>,
}

/// Least width that a flexible column is cut to.
const LEAST: usize = 16;

impl Grid {
    /// Columns that are aligned to the right; the others are to the left.
    pub fn with_right_aligned(columns: &[usize]) -> Self {
        let mut grid = Self::default();
        for &column in columns {
            grid.right.resize(grid.right.len().max(column + 1), false);
            grid.right[column] = true;
        }
        grid
    }

    /// The column that gives way where the terminal is narrow.
    #[must_use]
    pub fn flexible(mut self, column: usize) -> Self {
        self.flexible = Some(column);
        self
    }

    /// Appends a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table, each line after `indent` spaces and without trailing ones.
    pub fn lines(&self, style: &Style, indent: usize) -> Vec<String> {
        let widths = self.widths(style.width.saturating_sub(indent));
        self.rows
            .iter()
            .map(|row| {
                let mut line = " ".repeat(indent);
                let mut owed = 0;
                for (column, cell) in row.iter().enumerate() {
                    let text = shorten(&cell.text, widths[column]);
                    let space = widths[column] - text.width().min(widths[column]);
                    let right = self.right.get(column).copied().unwrap_or(false);
                    if right {
                        owed += space;
                    }
                    if !text.is_empty() {
                        line.push_str(&" ".repeat(owed));
                        line.push_str(&style.paint(cell.tone, &text));
                        owed = 0;
                    }
                    if !right {
                        owed += space;
                    }
                    owed += 2;
                }
                line
            })
            .collect()
    }

    fn widths(&self, room: usize) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let total = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
        if let Some(flexible) = self.flexible
            && let Some(width) = widths.get_mut(flexible)
            && total > room
        {
            *width = width.saturating_sub(total - room).max(LEAST.min(*width));
        }
        widths
    }
}

/// The text cut to a width, with `…` for what is missing.
fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + c.to_string().width() + 1 > width {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_width_of_their_letters() {
        let mut grid = Grid::with_right_aligned(&[1]);
        grid.row(["η".into(), "1.5".into(), "a".into()]);
        grid.row(["rate".into(), "10.25".into(), "".into()]);
        assert_eq!(grid.lines(&Style::default(), 1), [" η       1.5  a", " rate  10.25"]);
    }

    #[test]
    fn colours_do_not_move_columns() {
        let mut grid = Grid::default();
        grid.row([Cell::new("ok", Tone::Good), "x".into()]);
        let plain = grid.lines(&Style::default(), 0);
        let coloured = grid.lines(&Style { colour: true, ..Style::default() }, 0);
        assert_eq!(plain, ["ok  x"]);
        assert_eq!(coloured, ["\u{1b}[32mok\u{1b}[39m  x"]);
    }

    #[test]
    fn the_flexible_column_gives_way() {
        let mut grid = Grid::default().flexible(0);
        grid.row(["covariance of theta[0], theta[1]".into(), "0.25(1)".into()]);
        assert_eq!(grid.lines(&Style { width: 30, colour: false }, 0), ["covariance of theta[…  0.25(1)"]);
    }

    #[test]
    fn long_texts_are_wrapped_at_words() {
        let style = Style { width: 24, colour: false };
        assert_eq!(
            style.wrap("run about three times as long", 4),
            ["    run about three", "    times as long"]
        );
    }
}
