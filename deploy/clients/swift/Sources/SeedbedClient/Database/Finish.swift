import Foundation

/// Makes a database of a staged file, in one transaction. Rule 8 of CONTRACT.md.
///
/// A process that is killed leaves it finished or as it was: SQLite's journal decides when it is opened again.
struct Finish: Sendable {
    let form: SnapshotForm

    /// Of finishing, for a compact file.
    let version: Int?
    let record: Record

    /// The app's, as JSON.
    let schema: String

    /// Makes the app's raw tables.
    let prepare: [String]

    /// Finishes the staged file, unless it is. Throws `newerCore`, `notOpenable`, `diskFull`.
    func run(_ staged: String) throws {
        do {
            let connection = try Connection(staged, [])
            defer { connection.close() }
            // One file, so that the rename takes all of it.
            try connection.query("PRAGMA journal_mode = DELETE")
            try connection.query("BEGIN IMMEDIATE")
            // An error needs no ROLLBACK: closing is one.
            try migrate(connection)
            if try connection.query("SELECT 1 FROM ps_kv WHERE key = ?", Record.key).isEmpty { try complete(connection) }
            try connection.query("COMMIT")
        } catch {
            throw SeedbedError.of(error, .notOpenable, "the snapshot cannot be finished")
        }
    }

    /// Migrates up; or down, by what the newer core has left for that, and then refuses the file.
    private func migrate(_ connection: Connection) throws {
        let highest = "SELECT max(id) FROM ps_migration"
        let before = try connection.number(highest) ?? 0
        var after: Int64 = 0
        do {
            try connection.query("SELECT powersync_init()")
            after = try connection.number(highest) ?? 0
        } catch let error as SqliteError {
            // There is no way down.
            if error.message.range(of: "down migration", options: .caseInsensitive) == nil { throw error }
        }
        if after < before { throw SeedbedError(.newerCore, "the snapshot has schema \(before), which is newer than the SDK's") }
    }

    private func complete(_ connection: Connection) throws {
        try connection.query(#"DELETE FROM ps_kv WHERE key LIKE '%\_checkpoint\_request\_id' ESCAPE '\'"#)
        // Two clients must never share one: the service tells them apart by it.
        try connection.query("INSERT OR REPLACE INTO ps_kv (key, value) VALUES ('client_id', uuid())")
        if form == .compact {
            for statement in prepare { try connection.query(statement) }
            try connection.query("SELECT powersync_replace_schema(?)", schema)
            guard let finish = try FinishVersion.of(version) else { throw SeedbedError(.unknownFinish, "no such version of finishing") }
            for step in finish.steps { try take(connection, step) }
        }
        try require(try connection.number("SELECT EXISTS (SELECT 1 FROM ps_sync_state)") == 1, "the core extension does not accept its checkpoint")
        try require(try connection.number("SELECT EXISTS (SELECT 1 FROM ps_crud)") == 0, "it has local writes")
        try connection.query(Record.insert, Record.key, try record.text())
    }

    private func take(_ connection: Connection, _ step: FinishStep) throws {
        if let question = step.ofCore {
            for statement in try askCore(question) { try connection.query(statement) }
        }
        guard let sql = step.sql else { return }
        let rows = step.parameters == ["schema"] ? try connection.query(sql, schema) : try connection.query(sql)
        let returned = rows.first?.first as? Int64
        try require(step.returns == nil || returned == step.returns, "the step \(step.name) returned \(returned ?? -1)")
    }

    /// What this core extension would make itself.
    private func askCore(_ question: String) throws -> [String] {
        let fresh = try Connection(":memory:", [])
        defer { fresh.close() }
        try fresh.query("BEGIN")
        try fresh.query("SELECT powersync_init()")
        return try fresh.query(question).compactMap { $0.first as? String }
    }

    private func require(_ holds: Bool, _ otherwise: String) throws {
        if !holds { throw SeedbedError(.notOpenable, otherwise) }
    }
}
