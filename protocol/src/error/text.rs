//! Makes text from elsewhere safe to show: control characters, marks that turn or hide text, and line breaks.
//!
//! - In: any text, such as a store's id, a claim, a path, or what a service answered.
//! - Out: the same text, in which each such character is spelled out: `\u{1b}` for people, `\u001b` in JSON.
//! - Used by what writes (terminal, log lines, answers), not by what makes a text: messages, catalog and traces keep it as it is.

use std::{borrow::Cow, fmt::Write};

use serde::Serialize;

/// Returns whether a character moves the cursor, changes the order of what stands beside it, or is not seen at all: a
/// control character (C0, DEL, C1), a line or paragraph separator, or a format character of Unicode that hides or
/// reorders text (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>).
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns `text` as one line that shows every character: `\n` for a line break, `\u{1b}` for an escape.
pub fn visible(text: &str) -> Cow<'_, str> {
    spell_out(text, |shown, hidden| {
        shown.extend(hidden.escape_default());
    })
}

/// Returns `value` as one line of JSON whose texts mean the same, and hold none of these characters as they are.
///
/// # Errors
/// When the value has no JSON.
pub fn json(value: &(impl Serialize + ?Sized)) -> serde_json::Result<String> {
    // Outside of texts, JSON has none of them.
    Ok(json_line(&serde_json::to_string(value)?).into_owned())
}

/// Returns JSON without line breaks, in which nothing is hidden.
fn json_line(json: &str) -> Cow<'_, str> {
    spell_out(json, |shown, hidden| {
        for unit in hidden.encode_utf16(&mut [0; 2]) {
            // Writing to a text does not fail.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    })
}

fn spell_out(text: &str, spell: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) {
            spell(&mut shown, character);
        } else {
            shown.push(character);
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_hides_or_breaks_a_line_is_spelled_out_and_letters_are_left() {
        for letters in ["Łódź 7", "متجر", "店", "🏬", "a\\b \"c\" <d>"] {
            assert!(matches!(visible(letters), Cow::Borrowed(same) if same == letters));
        }
        assert_eq!(
            visible("\u{1b}]0;x\u{7}\r\n\t\u{9b}2J"),
            "\\u{1b}]0;x\\u{7}\\r\\n\\t\\u{9b}2J"
        );
        let marks = "\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{7f}";
        let shown = visible(marks);
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(shown.matches("\\u{").count(), marks.chars().count());
    }

    #[test]
    fn json_means_the_same_and_hides_nothing() {
        let odd = serde_json::json!({"a\u{202e}b": "\u{9b}1m\n\u{e0041}\u{2028}ü"});
        let line = json(&odd).unwrap();
        assert!(!line.contains(is_hidden), "{line}");
        assert!(line.contains('ü'), "{line}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&line).unwrap(),
            odd
        );
    }
}
