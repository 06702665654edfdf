//! Writes files for a person: beside their place first, so that a full disk or a kill takes nothing away and leaves nothing half.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::{Builder, TempDir};

/// What a new file may be, before the process's umask takes from it.
const NEW_FILE: u32 = 0o666;

/// Writes `text` to `file`; with `replace`, also if it is there. What was there stays what it was until all is written.
///
/// # Errors
/// When it cannot be written, or without `replace` when somebody has made the file meanwhile.
pub(super) fn write_whole(file: &Path, text: &str, replace: bool) -> io::Result<()> {
    // What a link leads to is replaced, not the link.
    let place = match replace {
        true => fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()),
        false => file.to_owned(),
    };
    let before = fs::metadata(&place).ok();
    if replace && before.as_ref().is_some_and(|before| !before.is_file()) {
        // A pipe or a device has no other place.
        return fs::OpenOptions::new()
            .write(true)
            .open(&place)?
            .write_all(text.as_bytes());
    }
    let mode = Permissions::from_mode(NEW_FILE);
    let mut fresh = Builder::new()
        .prefix(".seedbed-")
        .permissions(mode)
        .tempfile_in(directory_of(&place))?;
    if let Some(before) = before {
        fresh.as_file().set_permissions(before.permissions())?;
    }
    fresh.write_all(text.as_bytes())?;
    // A full disk may be found out only now.
    fresh.as_file().sync_all()?;
    let moved = match replace {
        true => fresh.persist(&place),
        false => fresh.persist_noclobber(&place),
    };
    moved.map(drop).map_err(|error| error.error)
}

/// A place in `directory` for files that [`move_into`] brings there.
pub(super) fn beside(directory: &Path) -> io::Result<TempDir> {
    fs::create_dir_all(directory)?;
    Builder::new().prefix(".seedbed-").tempdir_in(directory)
}

/// Moves every file of `from` into `directory`; returns their names in order.
pub(super) fn move_into(from: &TempDir, directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(from.path())? {
        let entry = entry?;
        fs::File::open(entry.path())?.sync_all()?;
        names.push(entry.file_name());
    }
    names.sort();
    for name in &names {
        fs::rename(from.path().join(name), directory.join(name))?;
    }
    let shown = names.iter().map(|name| name.to_string_lossy().into_owned());
    Ok(shown.collect())
}

fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(directory) if directory != Path::new("") => directory.to_owned(),
        _ => ".".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("seedbed.toml");
        write_whole(&file, "first", false).unwrap();
        let taken = write_whole(&file, "second", false).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "first");
        let link = directory.path().join("link.toml");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        write_whole(&link, "third", true).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "third");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        // A place where nothing can be made.
        write_whole(Path::new("/proc/seedbed.toml"), "x", true).unwrap_err();
        let names = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 2, "nothing else is left");
    }

    #[test]
    fn a_full_device_is_said() {
        let refused = write_whole(Path::new("/dev/full"), "x", true).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    }
}
