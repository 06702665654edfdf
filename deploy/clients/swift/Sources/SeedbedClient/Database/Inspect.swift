import Foundation

/// Whether the database that is there may be replaced, and whose it is. Rules 1 and 2 of CONTRACT.md.
struct Inspection {
    /// Why it must not be.
    var kept: Reason?
    var record: Record?
}

/// PowerSync's own, up to schema version 14 (`migrations.rs` of powersync-sqlite-core 0.5.4).
private let own: Set<String> = [
    "ps_migration", "ps_untyped", "ps_crud", "ps_tx", "ps_kv", "ps_buckets", "ps_oplog", "ps_updated_rows", "ps_stream_subscriptions",
    "ps_sync_state",
]

/// Looks at the database, if there is one.
func inspect(_ database: String, _ statements: [String]) -> Inspection {
    if Files.size(database) == nil { return Inspection() }
    do {
        let connection = try Connection(database, statements)
        defer { connection.close() }
        return try inspect(connection)
    } catch {
        return Inspection(kept: isBusy(error) ? .inUse : .unreadable)
    }
}

/// Puts the staged file where the database is, unless that must be kept: then the answer says why.
func install(_ paths: Paths, _ statements: [String]) throws -> Reason? {
    if Files.size(paths.database) == nil {
        try Files.removeCompanions(paths.database)
        return try Files.place(paths.staged, paths.database) ? nil : .inUse
    }
    do {
        let connection = try Connection(paths.database, statements)
        defer { connection.close() }
        if let kept = try replaceableUnderLock(connection) { return kept }
        try Files.removeCompanions(paths.database)
        try Files.replace(paths.staged, paths.database)
        return nil
    } catch where isBusy(error) {
        return .inUse
    }
}

/// Takes the lock that no other open connection holds along with it, and inspects. The lock stays until the connection is closed.
private func replaceableUnderLock(_ connection: Connection) throws -> Reason? {
    // Refused while any other connection is open, idle ones included. It has to be set before anything is read.
    try connection.query("PRAGMA locking_mode = EXCLUSIVE")
    try connection.query("BEGIN EXCLUSIVE")
    let kept = try inspect(connection).kept
    try connection.query("ROLLBACK")
    // With a WAL, closing would remove a file by its name, and that name will be the new database's.
    if kept == nil { try connection.query("PRAGMA journal_mode = DELETE") }
    return kept
}

private func inspect(_ connection: Connection) throws -> Inspection {
    let tables = try tableNames(of: connection)
    let record = tables.contains("ps_kv") ? try Record.of(connection) : nil
    return Inspection(kept: try keptFor(connection, tables), record: record)
}

private func keptFor(_ connection: Connection, _ tables: Set<String>) throws -> Reason? {
    func has(_ table: String, _ condition: String = "") throws -> Bool {
        guard tables.contains(table) else { return false }
        return try hasRow(connection, table, condition)
    }
    if try has("ps_sync_state") || has("ps_kv", "WHERE key = 'last_synced_at'") { return .synced }
    if try has("ps_crud") { return .localWrites }
    if try has("ps_untyped") || tables.contains(where: { try !own.contains($0) && has($0) }) { return .localRows }
    return try has("ps_oplog") && wasComplete(connection) ? .clearedSoftly : nil
}

/// Every table that holds rows of its own: neither SQLite's nor the shadow of a virtual one, whose rows are not the user's.
private func tableNames(of connection: Connection) throws -> Set<String> {
    let all = #"SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"#
    return Set(try connection.query(all).compactMap { $0.first as? String })
}

private func hasRow(_ connection: Connection, _ table: String, _ condition: String) throws -> Bool {
    let name = table.replacingOccurrences(of: "\"", with: "\"\"")
    return try connection.number("SELECT EXISTS (SELECT 1 FROM \"\(name)\" \(condition))") == 1
}

/// Whether a bucket had once all of a checkpoint: then its operations were kept on purpose. A soft clear leaves `count_at_last`; a first
/// download that broke off has 0.
private func wasComplete(_ connection: Connection) throws -> Bool {
    let columns = try connection.query("SELECT name FROM pragma_table_info('ps_buckets')").compactMap { $0.first as? String }
    if !columns.contains("count_at_last") { return true }
    return try hasRow(connection, "ps_buckets", "WHERE count_at_last > 0")
}
