import Foundation

/// One launch at a time for a database, in all processes. Rule 3 of CONTRACT.md. The system frees it when a process dies, and leaves the
/// empty file.
final class LaunchLock: @unchecked Sendable {
    private let path: String
    private let connection: Connection

    /// The version of the core extension, which the connection has anyway.
    let core: String

    private init(_ path: String, _ connection: Connection) throws {
        self.path = path
        self.connection = connection
        let version = try connection.query("SELECT powersync_rs_version()").first?.first as? String ?? ""
        core = version.split(separator: "/").first.map(String.init) ?? ""
    }

    /// Takes it, and waits for it.
    static func take(_ path: String) async throws -> LaunchLock {
        while true {
            if let taken = try tryToTake(path) { return taken }
            try await pause(0.05)
        }
    }

    func release() {
        // While it is held, so that nobody else's is removed.
        try? Files.remove(path)
        connection.close()
    }

    private static func tryToTake(_ path: String) throws -> LaunchLock? {
        guard var held = try begin(path) else { return nil }
        while true {
            // The one before may have removed the file that this connection has opened: then another file can be locked.
            guard let another = try begin(path) else { return try LaunchLock(path, held) }
            held.close()
            held = another
        }
    }

    /// Nil if another connection has it. Without the app's key: nothing is ever written.
    private static func begin(_ path: String) throws -> Connection? {
        do {
            let connection = try Connection(path, [])
            // No file for a journal.
            try connection.query("PRAGMA journal_mode = MEMORY")
            try connection.query("BEGIN EXCLUSIVE")
            return connection
        } catch where isBusy(error) {
            return nil
        }
    }
}
