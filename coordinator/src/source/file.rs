//! Stores from a file or standard input: NDJSON, or CSV with a header.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use futures::stream::BoxStream;
use tokio::sync::mpsc;

use super::store::Store;
use super::{
    cast::Origin,
    channel::{READ_AHEAD, Read, until_end},
    error::{RecordProblem, SourceError},
    format::{FileFormat, check_header, csv_columns, first_line, json_columns, malformed, sniff},
    lines::{Lines, without_byte_order_mark},
    record::{Columns, scope},
};

/// A file or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// Returns standard input for `-`, else the file with this name.
    pub fn named(name: &str) -> Self {
        match name {
            "-" => Self::Stdin,
            path => Self::File(path.into()),
        }
    }

    /// The format that the file's name tells; `None` for standard input, whose beginning tells it.
    pub(super) fn format(&self) -> Result<Option<FileFormat>, SourceError> {
        let Self::File(path) = self else {
            return Ok(None);
        };
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "ndjson" | "jsonl" | "json" => Ok(Some(FileFormat::Ndjson)),
            "csv" => Ok(Some(FileFormat::Csv)),
            _ => Err(SourceError::Format {
                file: self.to_string(),
            }),
        }
    }

    fn open(&self) -> io::Result<Box<dyn BufRead + Send>> {
        Ok(match self {
            Self::Stdin => Box::new(BufReader::new(io::stdin())),
            Self::File(path) => Box::new(BufReader::new(File::open(path)?)),
        })
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The stores of `input`, read by a thread of its own.
pub(super) fn stores<'a>(
    input: &Input,
    format: Option<FileFormat>,
    store_id: &str,
) -> BoxStream<'a, Result<Store, SourceError>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let reader = Reader {
        origin: input.to_string(),
        store_id: store_id.to_owned(),
        sender,
    };
    let origin = reader.origin.clone();
    let input = input.clone();
    // Not one of the runtime's threads: the end of the program must not wait for standard input.
    std::thread::spawn(move || reader.read(&input, format));
    until_end(receiver, origin)
}

/// Reads one list and sends its stores on.
struct Reader {
    origin: String,
    store_id: String,
    sender: mpsc::Sender<Read>,
}

/// The receiver of stores is gone.
struct Closed;

impl Reader {
    fn read(&self, input: &Input, format: Option<FileFormat>) {
        let text = input.open().and_then(|file| {
            let file = without_byte_order_mark(file)?;
            match format {
                Some(format) => Ok((file, format)),
                None => sniff(file),
            }
        });
        // If the receiver is gone, an error is of no interest either.
        let _ = match text {
            Ok((text, FileFormat::Ndjson)) => self.read_ndjson(text),
            Ok((text, FileFormat::Csv)) => self.read_csv(text),
            Err(error) => self.unreadable(error),
        };
    }

    fn read_ndjson(&self, text: Box<dyn BufRead + Send>) -> Result<(), Closed> {
        let mut lines = Lines::of(text);
        for position in 1.. {
            match lines.next_line() {
                Ok(None) => return self.end(),
                Ok(Some(line)) if line.trim_ascii().is_empty() => {}
                Ok(Some(line)) => match json_columns(line.trim_ascii_end()) {
                    Ok(columns) => self.send(position, columns)?,
                    Err(problem) => return self.refuse(position, problem),
                },
                Err(error) => return self.unreadable_line(position, error),
            }
        }
        Ok(())
    }

    fn read_csv(&self, text: Box<dyn BufRead + Send>) -> Result<(), Closed> {
        // Lengths and encoding are checked here, where the line is known.
        let mut table = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            // As [`Lines`] ends them, and as the parser counts them.
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(Lines::of(text));
        let mut record = csv::ByteRecord::new();
        let mut header = None;
        loop {
            match table.read_byte_record(&mut record) {
                Ok(false) => return self.end(),
                Ok(true) => {}
                Err(error) => return self.refuse_csv(table.position().line(), error),
            }
            let position = first_line(&record, table.position());
            let record = match csv::StringRecord::from_byte_record(record.clone()) {
                Ok(record) => record,
                Err(_) => return self.refuse(position, malformed("the line is not UTF-8")),
            };
            match &header {
                None => match check_header(&record) {
                    Ok(()) => header = Some(record),
                    Err(problem) => return self.refuse(position, problem),
                },
                Some(header) => match csv_columns(header, &record) {
                    Ok(columns) => self.send(position, columns)?,
                    Err(problem) => return self.refuse(position, problem),
                },
            }
        }
    }

    fn end(&self) -> Result<(), Closed> {
        self.sender.blocking_send(Ok(None)).map_err(|_| Closed)
    }

    fn send(&self, position: u64, columns: Columns) -> Result<(), Closed> {
        match scope(columns, &self.store_id, Origin::File) {
            Ok(scope) => self
                .sender
                .blocking_send(Ok(Some(Store { scope, position })))
                .map_err(|_| Closed),
            Err(problem) => {
                self.refuse(position, problem)?;
                Err(Closed)
            }
        }
    }

    fn refuse(&self, position: u64, problem: RecordProblem) -> Result<(), Closed> {
        self.fail(SourceError::Record {
            origin: self.origin.clone(),
            unit: "line",
            position,
            problem,
        })
    }

    fn refuse_csv(&self, position: u64, error: csv::Error) -> Result<(), Closed> {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => self.unreadable_line(position, error),
            other => self.refuse(position, malformed(format!("not CSV: {other:?}"))),
        }
    }

    fn unreadable_line(&self, position: u64, error: io::Error) -> Result<(), Closed> {
        match error.kind() {
            io::ErrorKind::InvalidData => self.refuse(position, malformed(error.to_string())),
            _ => self.unreadable(error),
        }
    }

    fn unreadable(&self, source: io::Error) -> Result<(), Closed> {
        self.fail(SourceError::Unreadable {
            origin: self.origin.clone(),
            source,
        })
    }

    fn fail(&self, error: SourceError) -> Result<(), Closed> {
        self.sender.blocking_send(Err(error)).map_err(|_| Closed)
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use serde_json::{Value, json};

    use super::*;

    async fn read(name: &str, content: impl AsRef<[u8]>) -> Result<Vec<Store>, SourceError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        let input = Input::File(path);
        let format = input.format().unwrap_or_default();
        stores(&input, format, "store_id").try_collect().await
    }

    async fn refused(name: &str, content: impl AsRef<[u8]>) -> String {
        read(name, content).await.unwrap_err().to_string()
    }

    fn claims(store: &Store) -> Value {
        Value::Object(store.scope.claims.0.clone())
    }

    #[tokio::test]
    async fn ndjson_keeps_types_and_counts_every_line() {
        let text =
            "\u{feff}{\"store_id\": 7, \"vip\": true}\r\n\r\n  \n{\"store_id\":\"b\",\"tags\":[1]}";
        let stores = read("s.ndjson", text).await.unwrap();
        assert_eq!(stores[0].scope.store_id.as_str(), "7");
        assert_eq!(claims(&stores[0]), json!({"store_id": 7, "vip": true}));
        assert_eq!(
            (stores[1].position, stores[1].scope.store_id.as_str()),
            (4, "b")
        );
    }

    #[tokio::test]
    async fn csv_values_are_texts_and_blank_lines_are_skipped() {
        let text =
            "\u{feff}store_id,name\r\n007,\"Berlin, Mitte\"\r\n\r\n8,\"two\nlines\"\r\n9,x\r\n";
        let stores = read("s.CSV", text).await.unwrap();
        assert_eq!(
            claims(&stores[0]),
            json!({"store_id": "007", "name": "Berlin, Mitte"})
        );
        let positions: Vec<_> = stores.iter().map(|s| s.position).collect();
        assert_eq!(positions, [2, 4, 6]);
    }

    #[tokio::test]
    async fn a_carriage_return_alone_ends_no_csv_line() {
        let stores = read("s.csv", "store_id,name\n1,a\rb\n2,c\r\n3,d\n")
            .await
            .unwrap();
        let positions: Vec<_> = stores.iter().map(|s| s.position).collect();
        assert_eq!(positions, [2, 3, 4]);
        assert_eq!(claims(&stores[0])["name"], json!("a\rb"));
        assert_eq!(claims(&stores[1])["name"], json!("c"));
        let error = refused("s.csv", "store_id,name\r1,a\r2,b\r").await;
        assert!(
            error.contains("line 1: ") && error.contains("CRLF"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn without_an_extension_the_first_line_tells_the_format() {
        assert_eq!(
            read("list", "\n\n{\"store_id\": 1}\n").await.unwrap().len(),
            1
        );
        assert_eq!(read("list", "store_id\n1\n2\n").await.unwrap().len(), 2);
        assert_eq!(read("list", "").await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_malformed_line_17_is_named() {
        let mut lines: Vec<String> = (1..=20).map(|i| format!("{{\"store_id\": {i}}}")).collect();
        lines[16] = "{\"store_id\": 17".to_owned();
        let error = refused("s.ndjson", lines.join("\n")).await;
        assert!(
            error.contains("s.ndjson, line 17: ") && error.contains("column "),
            "{error}"
        );
        let mut lines: Vec<String> = (0..20).map(|i| format!("{i},x")).collect();
        lines[0] = "store_id,name".to_owned();
        lines[16] = "17".to_owned();
        let error = refused("s.csv", lines.join("\n")).await;
        assert!(
            error.contains("line 17: ") && error.contains("columns is 1, and that of the header 2"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_line_that_is_no_store_is_refused_with_the_reason() {
        for (line, reason) in [
            ("[1]", "found a list"),
            ("{\"id\": 1, \"n\": 2}", "there are \"id\", \"n\""),
            ("{\"store_id\": \"\"}", "empty"),
            ("{\"store_id\": null}", "null"),
            ("{\"store_id\": 1.5}", "a fraction"),
            ("{\"store_id\": \"../../x\"}", "../../x"),
            ("{\"store_id\": \"CON\"}", "reserved"),
            ("{\"store_id\": 1, \"exp\": 2}", "rename the column"),
            (
                "{\"store_id\": 1, \"region\": 1, \"region\": 2}",
                "line 2: it has the column \"region\" twice",
            ),
        ] {
            let error = refused("s.ndjson", format!("{{\"store_id\": 0}}\n{line}\n")).await;
            assert!(
                error.contains("line 2: ") && error.contains(reason),
                "{line}: {error}"
            );
        }
        assert!(
            refused("s.ndjson", b"{\"store_id\": \"\xff\"}")
                .await
                .contains("line 1: ")
        );
        assert!(
            refused("s.csv", b"store_id\n\xff\n")
                .await
                .contains("line 2: ")
        );
        assert!(
            refused("s.csv", "store_id,store_id\n")
                .await
                .contains("twice")
        );
        assert!(
            refused("s.csv", "store_id,\n1,2\n")
                .await
                .contains("no name")
        );
    }

    #[tokio::test]
    async fn an_endless_line_is_refused_without_reading_all_of_it() {
        let error = refused("s.ndjson", vec![b' '; 3 << 20]).await;
        assert!(
            error.contains("line 1: ") && error.contains("longer"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let input = Input::named("no/such/file.csv");
        let stores: Result<Vec<_>, _> = stores(&input, Some(FileFormat::Csv), "store_id")
            .try_collect()
            .await;
        assert!(stores.unwrap_err().to_string().contains("no/such/file.csv"));
        assert!(
            Input::named("stores.txt")
                .format()
                .unwrap_err()
                .to_string()
                .contains("stores.txt")
        );
    }
}
