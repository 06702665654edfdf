//! The files of a repository: those that git knows, or made-up ones.

use std::{collections::BTreeMap, io, path::Path, process::Command};

/// Ends of the names of files whose text the rules read; of others only the name counts.
const READ: [&str; 4] = [".rs", ".md", ".toml", ".sh"];

/// Files by their paths from the root, with `/` between folders.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// The files below `root` that git tracks, or would if they were added.
    ///
    /// # Errors
    /// When git does not list them, or one cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let listed = Command::new("git")
            .arg("-C")
            .arg(root)
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .output()?;
        if !listed.status.success() {
            let said = String::from_utf8_lossy(&listed.stderr);
            return Err(io::Error::other(format!("git ls-files: {said}")));
        }
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut tree = Self::default();
        for name in names.split_terminator('\0') {
            let path = root.join(name);
            // Listed, but removed from the work tree.
            if !path.is_file() {
                continue;
            }
            let is_read = READ.iter().any(|end| name.ends_with(end));
            let text = if is_read {
                std::fs::read_to_string(path)?
            } else {
                String::new()
            };
            tree.files.insert(name.to_owned(), text);
        }
        Ok(tree)
    }

    /// A tree of these files.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files = files.into_iter();
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        Self {
            files: files.collect(),
        }
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is such a file, or a folder with files.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.below(path).next().is_some()
    }

    /// All files, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter();
        files.map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files in a folder and in those below it.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        self.files()
            .filter(move |(path, _)| path.starts_with(&prefix))
    }
}
