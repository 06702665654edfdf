//! Where a browser goes after its login: a place of this very server.

use url::Url;

/// The longest path that is kept.
const MOST: usize = 1_000;

/// Returns `asked` as a path of this server, without its origin; `/` for whatever could lead elsewhere.
pub(super) fn return_path(own: &Url, asked: &str) -> String {
    let path = || {
        let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
        let is_path = asked.starts_with('/') && asked.len() <= MOST && asked.chars().all(is_plain);
        // Read as browsers read it: they take some texts for another host's that only look like a path.
        let there = is_path.then(|| own.join(asked).ok())??;
        let path = there[url::Position::BeforePath..].to_owned();
        let is_own = there.origin() == own.origin() && !path.starts_with("//");
        // A login must not lead to a login, or to a file.
        let is_page = there.path() == "/" || there.path().starts_with("/api/docs");
        (is_own && is_page).then_some(path)
    };
    path().unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_at_this_server_whatever_it_looks_like() {
        let own = Url::parse("https://seedbed.example.com/login/callback").unwrap();
        for kept in ["/", "/#/stores/a%20b?x=1", "/?x#/runs", "/api/docs/"] {
            assert_eq!(return_path(&own, kept), kept);
        }
        for elsewhere in [
            "",
            "//evil.example.com",
            "//evil.example.com/#/",
            "/\\evil.example.com",
            "/.//evil.example.com",
            "/x/..//evil.example.com",
            "/\t/evil.example.com",
            "/\n//evil",
            "https://evil.example.com/",
            "https:evil.example.com",
            "javascript:alert(1)",
            "evil",
            "/%2F/evil",
            "/login",
            "/é",
            &format!("/#{}", "x".repeat(MOST)),
        ] {
            assert_eq!(return_path(&own, elsewhere), "/", "{elsewhere:?}");
        }
    }
}
