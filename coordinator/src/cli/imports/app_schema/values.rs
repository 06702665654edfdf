//! The expressions that a schema is written with, and what they are.

use std::{cell::RefCell, collections::BTreeMap};

use super::{
    tokens::{Kind, Problem, Token},
    types,
};

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Not given: `undefined` and `null`.
    Nothing,
    Text(String),
    Number(f64),
    Flag(bool),
    List(Vec<Value>),
    Fields(Vec<(String, Value)>),
    /// `new Table(…)` or `Table.createLocalOnly(…)`: what is called, without what it is imported as, and with what.
    Made {
        by: String,
        with: Vec<Value>,
        line: usize,
    },
}

/// The tokens of a script, and what its constants are.
pub(super) struct Script<'a> {
    tokens: &'a [Token],
    /// Where the value of each constant begins.
    pub(super) constants: BTreeMap<String, usize>,
    /// What is imported from elsewhere: a name in the script, and the name there.
    pub(super) imports: BTreeMap<String, String>,
    /// The constants that are being read, against circles.
    reading: RefCell<Vec<String>>,
}

/// The types of columns: `column.text` of the SDK is a column, `ColumnType.TEXT` a type.
const TYPES: [&str; 3] = ["TEXT", "INTEGER", "REAL"];

/// What can be done about what is not read here.
const INSTEAD: &str = "put it there as it is, or give the JSON that console.log(JSON.stringify(schema)) prints in the app";

impl<'a> Script<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Self {
        Self {
            tokens,
            constants: BTreeMap::new(),
            imports: BTreeMap::new(),
            reading: RefCell::default(),
        }
    }

    /// The arguments of a call whose opening parenthesis is at `at`.
    pub(super) fn arguments(&self, at: usize) -> Result<Vec<Value>, Problem> {
        let mut at = at;
        self.list(&mut at, "(", ")")
    }

    /// Reads the expression at `at`, and moves `at` behind it.
    pub(super) fn value(&self, at: &mut usize) -> Result<Value, Problem> {
        let value = self.plain_value(at)?;
        *at = types::end(self.tokens, *at);
        match self.kind(*at) {
            None | Some(Kind::Mark("," | ")" | "]" | "}" | ";")) => Ok(value),
            // A statement without a semicolon.
            Some(Kind::Name(_)) if self.begins_a_line(*at) => Ok(value),
            _ => Err(self.unread(*at)),
        }
    }

    fn plain_value(&self, at: &mut usize) -> Result<Value, Problem> {
        let Some(token) = self.tokens.get(*at) else {
            return Err(Problem::new(self.line(*at), "the file ends within a value"));
        };
        match &token.kind {
            Kind::Text(text) => {
                *at += 1;
                Ok(Value::Text(text.clone()))
            }
            Kind::Number(number) => {
                *at += 1;
                Ok(Value::Number(*number))
            }
            Kind::Mark("[") => Ok(Value::List(self.list(at, "[", "]")?)),
            Kind::Mark("{") => Ok(Value::Fields(self.fields(at)?)),
            Kind::Mark("(") => {
                *at += 1;
                let value = self.value(at)?;
                self.expect(at, ")")?;
                Ok(value)
            }
            Kind::Name(name) => self.named(at, name),
            _ => Err(self.unread(*at)),
        }
    }

    /// What begins with a name: a word of the language, something made, or a constant.
    fn named(&self, at: &mut usize, name: &str) -> Result<Value, Problem> {
        let word = match name {
            "true" => Some(Value::Flag(true)),
            "false" => Some(Value::Flag(false)),
            "undefined" | "null" => Some(Value::Nothing),
            _ => None,
        };
        if let Some(value) = word {
            *at += 1;
            return Ok(value);
        }
        let start = *at;
        let is_new = name == "new";
        *at += usize::from(is_new);
        let path = self.path(at)?;
        *at = types::end_of_angles(self.tokens, *at);
        if self.mark(*at) == Some("(") {
            let with = self.list(at, "(", ")")?;
            let by = match is_new {
                true => self.class(&path),
                false => match &path[..] {
                    [call] => call.clone(),
                    [class @ .., call] => format!("{}.{call}", self.class(class)),
                    [] => return Err(self.unread(start)),
                },
            };
            let line = self.line(start);
            return Ok(Value::Made { by, with, line });
        }
        if is_new {
            return Err(self.unread(start));
        }
        self.constant(&path, start)
    }

    /// Names with dots between them.
    fn path(&self, at: &mut usize) -> Result<Vec<String>, Problem> {
        let mut path = Vec::new();
        loop {
            let Some(Kind::Name(name)) = self.kind(*at) else {
                return Err(self.unread(*at));
            };
            path.push(name.clone());
            *at += 1;
            if self.mark(*at) != Some(".") {
                return Ok(path);
            }
            *at += 1;
        }
    }

    /// The name of a class as the SDK has it.
    fn class(&self, path: &[String]) -> String {
        let last = path.last().map_or("", String::as_str);
        self.imports
            .get(last)
            .map_or(last, String::as_str)
            .to_owned()
    }

    /// A constant of the script or of the SDK, or a field of one.
    fn constant(&self, path: &[String], at: usize) -> Result<Value, Problem> {
        let (first, fields) = path.split_first().expect("a path has a name");
        let Some(start) = self.constants.get(first) else {
            return self.of_sdk(path).ok_or_else(|| self.unknown(path, at));
        };
        if self.reading.borrow().contains(first) {
            return Err(Problem::new(
                self.line(at),
                format!("{first} is made of itself"),
            ));
        }
        self.reading.borrow_mut().push(first.clone());
        let mut start = *start;
        let value = self.value(&mut start);
        self.reading.borrow_mut().pop();
        let mut value = value?;
        for field in fields {
            let found = match value {
                Value::Fields(fields) => fields.into_iter().find(|(name, _)| name == field),
                _ => None,
            };
            value = found.ok_or_else(|| self.unknown(path, at))?.1;
        }
        Ok(value)
    }

    /// `column.text` or `ColumnType.TEXT`, whatever it is imported as.
    fn of_sdk(&self, path: &[String]) -> Option<Value> {
        let [.., class, name] = path else {
            return None;
        };
        let text = |kind: &str| Value::Text(kind.to_owned());
        let kind = TYPES.iter().find(|kind| kind.eq_ignore_ascii_case(name))?;
        match self.class(std::slice::from_ref(class)).as_str() {
            "column" => Some(Value::Fields(vec![("type".to_owned(), text(kind))])),
            "ColumnType" => Some(text(kind)),
            _ => None,
        }
    }

    fn unknown(&self, path: &[String], at: usize) -> Problem {
        let name = path.join(".");
        let is_column = path.len() > 1 && self.class(&path[..1]) == "column";
        let reason = match self.imports.contains_key(&path[0]) {
            _ if is_column => format!("{name} is no type of a column: text, integer and real are"),
            true => format!("{name} comes from another file, which is not read: {INSTEAD}"),
            false => format!("what {name} is cannot be read: {INSTEAD}"),
        };
        Problem::new(self.line(at), reason)
    }

    /// Values between two marks, with commas between them.
    fn list(&self, at: &mut usize, open: &str, close: &str) -> Result<Vec<Value>, Problem> {
        self.expect(at, open)?;
        let mut values = Vec::new();
        loop {
            match self.mark(*at) {
                Some(mark) if mark == close => {
                    *at += 1;
                    return Ok(values);
                }
                Some("...") => {
                    let start = *at;
                    *at += 1;
                    match self.value(at)? {
                        Value::List(spread) => values.extend(spread),
                        _ => return Err(self.unread(start)),
                    }
                }
                _ => values.push(self.value(at)?),
            }
            self.comma(at, close)?;
        }
    }

    /// The fields of an object, the later of two with one name.
    fn fields(&self, at: &mut usize) -> Result<Vec<(String, Value)>, Problem> {
        self.expect(at, "{")?;
        let mut fields: Vec<(String, Value)> = Vec::new();
        loop {
            let start = *at;
            let new = match self.kind(*at) {
                Some(Kind::Mark("}")) => {
                    *at += 1;
                    return Ok(fields);
                }
                Some(Kind::Mark("...")) => {
                    *at += 1;
                    match self.value(at)? {
                        Value::Fields(spread) => spread,
                        _ => return Err(self.unread(start)),
                    }
                }
                _ => vec![self.field(at)?],
            };
            for (name, value) in new {
                match fields.iter_mut().find(|(known, _)| *known == name) {
                    Some(known) => known.1 = value,
                    None => fields.push((name, value)),
                }
            }
            self.comma(at, "}")?;
        }
    }

    fn field(&self, at: &mut usize) -> Result<(String, Value), Problem> {
        let start = *at;
        let name = match self.kind(start) {
            Some(Kind::Name(name)) => {
                *at += 1;
                // `{ todos }` is short for `{ todos: todos }`.
                if matches!(self.mark(*at), Some("," | "}")) {
                    let value = self.constant(std::slice::from_ref(name), start)?;
                    return Ok((name.clone(), value));
                }
                name.clone()
            }
            Some(Kind::Text(name)) => {
                *at += 1;
                name.clone()
            }
            Some(Kind::Mark("[")) => {
                *at += 1;
                let Value::Text(name) = self.value(at)? else {
                    return Err(self.unread(start));
                };
                self.expect(at, "]")?;
                name
            }
            _ => return Err(self.unread(start)),
        };
        self.expect(at, ":")?;
        Ok((name, self.value(at)?))
    }

    fn comma(&self, at: &mut usize, close: &str) -> Result<(), Problem> {
        match self.mark(*at) {
            Some(",") => {
                *at += 1;
                Ok(())
            }
            Some(mark) if mark == close => Ok(()),
            _ => Err(self.unread(*at)),
        }
    }

    fn expect(&self, at: &mut usize, mark: &str) -> Result<(), Problem> {
        if self.mark(*at) != Some(mark) {
            return Err(self.unread(*at));
        }
        *at += 1;
        Ok(())
    }

    /// What is not understood, in words of the line that it is in.
    pub(super) fn unread(&self, at: usize) -> Problem {
        let what = match self.kind(at) {
            None => "the file ends within a value".to_owned(),
            Some(Kind::Template) => format!("a text with ${{…}} in it cannot be read: {INSTEAD}"),
            Some(Kind::Text(text)) => format!("{text:?} is not expected here"),
            Some(Kind::Name(name)) => format!("`{name}` cannot be read here: {INSTEAD}"),
            Some(Kind::Number(number)) => format!("{number} is not expected here"),
            Some(Kind::Mark("?")) => {
                format!("what depends on a condition cannot be read: {INSTEAD}")
            }
            Some(Kind::Mark("." | "(")) => {
                format!("what is computed by a call cannot be read: {INSTEAD}")
            }
            Some(Kind::Mark(mark)) => format!("`{mark}` is not expected here"),
            Some(Kind::Other(c)) => format!("`{c}` is not expected here"),
        };
        Problem::new(self.line(at), what)
    }

    pub(super) fn kind(&self, at: usize) -> Option<&'a Kind> {
        self.tokens.get(at).map(|token| &token.kind)
    }

    pub(super) fn mark(&self, at: usize) -> Option<&'static str> {
        match self.kind(at) {
            Some(Kind::Mark(mark)) => Some(mark),
            _ => None,
        }
    }

    /// The line of a token, or the last one.
    pub(super) fn line(&self, at: usize) -> usize {
        let token = self.tokens.get(at).or(self.tokens.last());
        token.map_or(1, |token| token.line)
    }

    fn begins_a_line(&self, at: usize) -> bool {
        at > 0 && self.line(at) > self.line(at - 1)
    }
}
