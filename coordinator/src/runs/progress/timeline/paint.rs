//! Colours and texts of the picture.

use seedbed_protocol::text;

use super::part::Part;

/// The steps, by class, and their colours.
pub(super) const STEPS: [(&str, &str); 11] = [
    ("compare", "#79c7bd"),
    ("sync", "#0f766e"),
    ("scrub", "#c9d7f2"),
    ("vacuum", "#4a7fc1"),
    ("verify", "#8fb3e3"),
    ("compact", "#33598c"),
    ("stream", "#5c6fb5"),
    ("seal", "#7d8ed6"),
    ("forms", "#aab5ea"),
    ("fetch", "#d9b26a"),
    ("upload", "#b06d12"),
];

/// The ways, and their colours.
pub(super) const WAYS: [(&str, &str); 3] = [
    ("full", "#15191d"),
    ("base", "#8b6fc9"),
    ("unchanged", "#98a2ad"),
];

pub(super) const TEXT: &str = "#15191d";
pub(super) const SOFT: &str = "#57616b";
pub(super) const LINE_COLOUR: &str = "#dde1e5";
pub(super) const BAD: &str = "#b42318";
pub(super) const UNKNOWN: &str = "#828c96";

pub(super) fn tenth(tenths: u64) -> String {
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

pub(super) fn colour_of(step: &str) -> (&'static str, &'static str) {
    let found = STEPS.iter().find(|(of, _)| *of == step);
    found.copied().unwrap_or(("other", UNKNOWN))
}

/// The colour of the step that is most typical of a part.
pub(super) fn part_colour(part: Part) -> &'static str {
    match part {
        Part::Service => colour_of("sync").1,
        Part::Worker => colour_of("vacuum").1,
        Part::Storage => colour_of("upload").1,
        Part::Unknown => UNKNOWN,
    }
}

/// A text with what hides in it spelled out, cut in its middle: names and ids often begin or end alike.
pub(super) fn shortened(name: &str, letters: usize) -> String {
    let shown = text::visible(name);
    let count = shown.chars().count();
    if count <= letters {
        return shown.into_owned();
    }
    let half = letters / 2;
    let begin: String = shown.chars().take(half).collect();
    let end: String = shown.chars().skip(count - half + 1).collect();
    format!("{begin}…{end}")
}

/// A text within SVG, with what hides in it spelled out.
pub(super) fn escaped(text: &str) -> String {
    let shown = text::visible(text);
    let mut escaped = String::with_capacity(shown.len());
    for character in shown.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_markup_elsewhere_is_text_and_what_hides_is_spelled_out() {
        assert_eq!(
            escaped("<a b=\"&\">\u{202e}"),
            "&lt;a b=&quot;&amp;&quot;&gt;\\u{202e}"
        );
        assert_eq!(shortened("worker-0123456789-0123456789", 10), "worke…6789");
        assert_eq!(shortened("מלאי-42", 10), "מלאי-42");
    }
}
