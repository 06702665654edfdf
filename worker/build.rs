//! Says which package is missing when there is no libclang. The core extension's bindings are generated with it, and
//! their own build script fails late, with a panic that names no package.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// What names a libclang to its users, wherever it lies: then they know better than this script.
const OWN_CHOICE: [&str; 2] = ["LIBCLANG_PATH", "LLVM_CONFIG_PATH"];

/// Where Linux distributions put it. `*` stands for one folder's name or the rest of it.
const FOLDERS: [&str; 7] = [
    "/usr/lib/llvm-*/lib",
    "/usr/lib/llvm*/lib",
    "/usr/lib/*-linux-gnu",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/llvm*/lib",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in OWN_CHOICE {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let chosen = OWN_CHOICE.iter().any(|name| env::var_os(name).is_some());
    if !cfg!(target_os = "linux") || chosen || llvm_config_is_installed() || libclang_is_installed()
    {
        return;
    }
    println!(
        "cargo::error=libclang is missing; the core extension's bindings are generated with it. Install it \
         (Debian and Ubuntu: apt-get install libclang-dev; Fedora: dnf install clang-devel), or set LIBCLANG_PATH \
         to the folder that has libclang.so"
    );
}

fn llvm_config_is_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join("llvm-config").exists())
}

fn libclang_is_installed() -> bool {
    let own = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = env::split_paths(&own).chain(FOLDERS.into_iter().flat_map(matching));
    folders.into_iter().any(|folder| has_libclang(&folder))
}

/// `libclang.so…` or `libclang-14.so…`; `libclang-cpp.so` is another library.
fn has_libclang(folder: &Path) -> bool {
    names(folder).iter().any(|name| {
        let rest = name.strip_prefix("libclang").unwrap_or_default();
        rest.starts_with(".so")
            || rest.starts_with('-') && !rest.starts_with("-cpp") && rest.contains(".so")
    })
}

/// The folders that a pattern with at most one `*` stands for.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, start) = before.rsplit_once('/').expect("the path is absolute");
    let (end, rest) = after.split_once('/').unwrap_or((after, ""));
    names(Path::new(parent))
        .into_iter()
        .filter(|name| name.starts_with(start) && name.ends_with(end))
        .map(|name| Path::new(parent).join(name).join(rest))
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
