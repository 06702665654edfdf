//! Certificates for servers that speak TLS.

use std::{path::Path, process::Command};

use tempfile::TempDir;

/// A certificate authority made with openssl.
pub struct Authority<'a> {
    directory: &'a TempDir,
    name: &'static str,
}

impl<'a> Authority<'a> {
    /// Makes it, with its files in `directory`.
    ///
    /// # Panics
    /// When openssl fails.
    pub fn new(directory: &'a TempDir, name: &'static str) -> Self {
        let authority = Self { directory, name };
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-keyout",
            &authority.file("key"),
            "-out",
            &authority.file("pem"),
        ]);
        authority
    }

    /// Its file of this extension: `pem`, its certificate; `key`, its key.
    pub fn file(&self, extension: &str) -> String {
        let name = format!("{}.{extension}", self.name);
        self.directory.path().join(name).display().to_string()
    }

    /// The files of a certificate for `localhost` and 127.0.0.1, and of its key.
    ///
    /// # Panics
    /// When openssl fails.
    pub fn sign_localhost(&self) -> (String, String) {
        let (request, certificate, key) = (
            self.file("csr"),
            self.file("server.pem"),
            self.file("server.key"),
        );
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-copy_extensions",
            "copy",
            "-in",
            &request,
            "-CA",
            &self.file("pem"),
            "-CAkey",
            &self.file("key"),
            "-CAcreateserial",
            "-out",
            &certificate,
        ]);
        assert!(Path::new(&certificate).exists());
        (certificate, key)
    }
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {errors}");
}
