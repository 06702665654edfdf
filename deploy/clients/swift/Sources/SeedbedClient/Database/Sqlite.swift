import CSQLite
import Foundation
import PowerSync

/// An error of SQLite.
struct SqliteError: Error, CustomStringConvertible {
    let code: Int32
    let message: String

    var description: String { "SQLite \(code): \(message)" }

    /// Another connection is in the way.
    var isBusy: Bool { code & 0xFF == SQLITE_BUSY || code & 0xFF == SQLITE_LOCKED }
}

/// A bare connection, by the library that the SDK uses, so that both see each other's locks, with the core extension and the app's key.
/// It waits for no lock.
final class Connection {
    private let pointer: OpaquePointer

    /// Opens or creates a database. `statements` are those that the SDK runs first: its key.
    init(_ path: String, _ statements: [String]) throws {
        // Has the core extension loaded into every connection of the process.
        _ = try resolvePowerSyncLoadableExtensionPath()
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil)
        guard let opened, code == SQLITE_OK else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory"
            sqlite3_close_v2(opened)
            throw SqliteError(code: code, message: message)
        }
        pointer = opened
        for statement in statements { try query(statement) }
        try query("PRAGMA busy_timeout = 0")
    }

    private var isOpen = true

    func close() {
        if isOpen { sqlite3_close_v2(pointer) }
        isOpen = false
    }

    deinit { close() }

    /// The rows, each as texts, integers (Int64) and nils.
    @discardableResult
    func query(_ sql: String, _ parameters: String...) throws -> [[Any?]] {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(pointer, sql, -1, &statement, nil) == SQLITE_OK else { throw failure() }
        defer { sqlite3_finalize(statement) }
        // SQLite copies the text at once.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        for (at, parameter) in parameters.enumerated() { sqlite3_bind_text(statement, Int32(at + 1), parameter, -1, transient) }
        var rows: [[Any?]] = []
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: rows.append((0 ..< sqlite3_column_count(statement)).map { value(statement, $0) })
            case SQLITE_DONE: return rows
            default: throw failure()
            }
        }
    }

    /// The number in the first column of the first row; nil if there is none.
    func number(_ sql: String) throws -> Int64? {
        try query(sql).first?.first as? Int64
    }

    private func value(_ statement: OpaquePointer?, _ column: Int32) -> Any? {
        switch sqlite3_column_type(statement, column) {
        case SQLITE_NULL: return nil
        case SQLITE_INTEGER: return sqlite3_column_int64(statement, column)
        default: return sqlite3_column_text(statement, column).map { String(cString: $0) }
        }
    }

    private func failure() -> SqliteError {
        SqliteError(code: sqlite3_extended_errcode(pointer), message: String(cString: sqlite3_errmsg(pointer)))
    }
}

/// Whether another connection is in the way.
func isBusy(_ error: Error) -> Bool {
    (error as? SqliteError)?.isBusy ?? false
}

/// Whether the app's databases are encrypted: a word that is written to one is not in its file. Rule 12 of CONTRACT.md.
func isEncrypted(_ paths: Paths, _ statements: [String]) throws -> Bool {
    if statements.isEmpty { return false }
    try Files.removeDatabase(paths.probe)
    defer { try? Files.removeDatabase(paths.probe) }
    let word = "seedbed-probe-in-plain-text"
    let connection = try Connection(paths.probe, statements)
    try connection.query("PRAGMA journal_mode = DELETE")
    try connection.query("CREATE TABLE probe (word)")
    try connection.query("INSERT INTO probe VALUES (?)", word)
    connection.close()
    return try Data(contentsOf: URL(fileURLWithPath: paths.probe)).range(of: Data(word.utf8)) == nil
}
