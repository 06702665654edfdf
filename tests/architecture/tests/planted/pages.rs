//! Links that lead nowhere.

use seedbed_architecture::{rules, tree::Tree};

use crate::support::assert_found;

const PAGE: &str = "\
# One: `two` & three
## [Four](https://example.org)
## One: `two` & three
<a name=\"named\"></a>
";

fn links(text: &str) -> Vec<seedbed_architecture::finding::Finding> {
    let page = format!("# Top\n\n{text}\n");
    rules::links(&Tree::of([
        ("docs/page.md", page.as_str()),
        ("docs/other.md", PAGE),
        ("src/a b.rs", ""),
    ]))
}

#[test]
fn links_to_files_folders_headings_and_elsewhere_are_right() {
    for text in [
        "[x](other.md), [y](../src) and [z](../src/a%20b.rs#L10 \"a title\")",
        "[x](other.md#one-two--three) [y](other.md#one-two--three-1) [z](other.md#four)",
        "[x](#top) [y](other.md#named) [z](/docs/other.md)",
        "[x](https://example.org/nothing) [y](mailto:a@example.org) <a href=\"//example.org\">",
        "[x]: ../docs/other.md",
        "```\n[x](nothing.md)\n```",
        "[![picture](../src)](other.md)",
    ] {
        assert_eq!(links(text), [], "{text}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_named_with_its_line() {
    for (text, word) in [
        ("[x](nothing.md)", "there is no docs/nothing.md"),
        ("[x](../../etc/passwd)", "out of the repository"),
        ("[x](other.md#five)", "no heading"),
        ("[x](#bottom)", "no heading"),
        ("<img src=\"picture.svg\">", "docs/picture.svg"),
        ("[x]: nothing.md", "docs/nothing.md"),
        (
            "[![picture](../src)](nothing.md)",
            "there is no docs/nothing.md",
        ),
    ] {
        assert_found(&links(text), "links", "docs/page.md:3", &[word]);
    }
}
