//! Rows as CSV (RFC 4180), read and written.

/// The rows of a text; the first one is the header. Quotes may hold delimiters, line breaks and doubled quotes.
pub(super) fn parse(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut characters = text.chars().peekable();
    let mut quoted = false;
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            other if quoted => field.push(other),
            other if other == delimiter => row.push(std::mem::take(&mut field)),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}

/// Writes rows of some columns of its own before those of the upload.
#[derive(Debug)]
pub(super) struct Writer {
    delimiter: char,
    text: String,
}

impl Writer {
    pub(super) fn new(delimiter: char, own: &[&str], header: &[String]) -> Self {
        let mut writer = Self { delimiter, text: String::new() };
        writer.row(own, header);
        writer
    }

    pub(super) fn row(&mut self, own: &[&str], values: &[String]) {
        let delimiter = self.delimiter.to_string();
        let values = own.iter().copied().chain(values.iter().map(String::as_str));
        let values: Vec<String> = values.map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
        self.text.push_str(&values.join(&delimiter));
        self.text.push('\n');
    }

    pub(super) fn text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let line = ["a,b".to_owned(), "say \"hi\"\r\nthere".to_owned(), String::new(), " x ".to_owned()];
        let mut writer = Writer::new(',', &["sf__Id"], &["A".into(), "B".into(), "C".into(), "D".into()]);
        writer.row(&["1"], &line);
        let rows = parse(&writer.text(), ',');
        assert_eq!(rows[0], ["sf__Id", "A", "B", "C", "D"]);
        assert_eq!(rows[1][1..], line);
        assert_eq!(parse("a;b\r\n1;\n", ';'), [["a", "b"], ["1", ""]]);
    }
}
