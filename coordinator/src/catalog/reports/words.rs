//! The words that reports are made of. Each list is closed: what is not in it is refused, so that no text of an app's user
//! gets into the catalog.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Makes an enum of words: their names in JSON and in the catalog.
macro_rules! words {
    ($(#[$of:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$of])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the word, as JSON and the catalog have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

words! {
    /// What came of a first launch.
    Outcome {
        /// A snapshot was installed.
        Installed = "installed",
        /// The app's normal initial sync took over.
        Sync = "sync",
        /// The app was given an error.
        Failed = "failed",
        /// The app or its user ended it.
        Cancelled = "cancelled",
    }
}

words! {
    /// Why no snapshot was installed: the codes of `deploy/clients/CONTRACT.md`.
    Reason {
        /// No answer.
        Offline = "offline",
        /// The app has no token.
        NoToken = "no_token",
        /// The token is refused.
        Unauthorized = "unauthorized",
        /// The answer, or the database that is there, is of another store.
        WrongStore = "wrong_store",
        /// The server hands out no snapshots.
        DownloadsDisabled = "downloads_disabled",
        /// There is no snapshot of the store.
        NoSnapshot = "no_snapshot",
        /// The snapshot is too old.
        TooOld = "too_old",
        /// The server is asked too often.
        Busy = "busy",
        /// The snapshot is being made.
        BeingSeeded = "being_seeded",
        /// The server or the object storage failed.
        ServerError = "server_error",
        /// An answer that makes no sense.
        BadAnswer = "bad_answer",
        /// The snapshot is of another PowerSync service.
        WrongService = "wrong_service",
        /// The snapshot is of another sync config.
        WrongGeneration = "wrong_generation",
        /// A newer core extension made the snapshot.
        NewerCore = "newer_core",
        /// The package does not know how to finish the file.
        UnknownFinish = "unknown_finish",
        /// The app's database is encrypted, and the rendition is not.
        Encrypted = "encrypted",
        /// There is not enough disk.
        DiskFull = "disk_full",
        /// The download was silent for too long.
        Stalled = "stalled",
        /// The download broke off again and again.
        Cut = "cut",
        /// Signed URLs expired again and again.
        Expired = "expired",
        /// The bytes are not those that were promised.
        Corrupt = "corrupt",
        /// The SDK cannot open the file.
        NotOpenable = "not_openable",
        /// The app or its user ended it.
        Cancelled = "cancelled",
    }
}

words! {
    /// Which package reports.
    Platform {
        /// `@powersync/node`.
        Node = "node",
        /// React Native, Expo included.
        ReactNative = "react-native",
        /// A browser.
        Web = "web",
        /// Capacitor.
        Capacitor = "capacitor",
        /// Tauri.
        Tauri = "tauri",
        /// Kotlin: JVM and Android.
        Kotlin = "kotlin",
        /// Swift: iOS and macOS.
        Swift = "swift",
        /// Flutter.
        Flutter = "flutter",
        /// .NET.
        Dotnet = "dotnet",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// A stage of a launch.
    Stage {
        /// Until there is an answer that says what to download.
        Waiting = "waiting",
        /// Until all bytes are there.
        Downloading = "downloading",
        /// Until the file is decompressed.
        Unpacking = "unpacking",
        /// Until the SDK can open it.
        Finishing = "finishing",
    }
}
