import Foundation
import PowerSync

/// A file that an older package has placed has none, and the core extension makes one only when it creates `ps_kv`: every connection
/// would fail with "No client_id found in ps_kv" (`kv.rs` of powersync-sqlite-core 0.5.4).
private let insertClientId = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES ('client_id', uuid())"

/// Opens the database, after installing the store's snapshot if there is none yet, or one that never completed a sync and has nothing of
/// its own. It is ready to read, and not connected: `connect` then downloads what has changed since the snapshot. Without a snapshot,
/// for any reason, the database is empty and `connect` does the normal initial sync; the reason is logged
/// (`SnapshotSource.whenUnavailable` says otherwise).
///
/// The parameters are those of `PowerSyncDatabase(…)`, and `source`. Each store and account needs a file of its own. If
/// `initialStatements` encrypt the database, the form is stream, whatever is asked for. Cancelling the task ends the launch within a
/// second; what has been downloaded stays for the next one. Throws a `SeedbedError` as `whenUnavailable` says, if the database is
/// another store's, and if it is cancelled.
public func openSeeded(
    schema: Schema,
    source: SnapshotSource,
    dbFilename: String = DEFAULT_DB_FILENAME,
    logger: any LoggerProtocol = DefaultLogger(),
    initialStatements: [String] = []
) async throws -> PowerSyncDatabaseProtocol {
    let paths = try Paths.ofSdk(dbFilename)
    let json = String(decoding: try JSONEncoder().encode(schema), as: UTF8.self)
    let launch = Launch(paths, json, source, initialStatements)
    let open = { @Sendable in
        PowerSyncDatabase(schema: schema, dbFilename: dbFilename, logger: logger, initialStatements: initialStatements)
    }
    defer {
        launch.end()
        source.onOutcome?(launch.course.outcome)
        let outcome = launch.course.outcome
        Task.detached { await report(source, outcome) }
    }
    do {
        return try await inTime(source.timeLimit) {
            try await openAfter(launch, paths, source, logger, initialStatements, open)
        }
    } catch is CancellationError {
        launch.course.end(.failed, .cancelled)
        throw SeedbedError(.cancelled, "the launch was cancelled")
    } catch let error as SeedbedError {
        launch.course.end(.failed, error.reason)
        throw error
    }
}

private func inTime<T: Sendable>(_ limit: TimeInterval?, _ work: @escaping @Sendable () async throws -> T) async throws -> T {
    guard let limit else { return try await work() }
    return try await withThrowingTaskGroup(of: T.self) { group in
        group.addTask { try await work() }
        group.addTask {
            try await pause(limit)
            throw SeedbedError(.stalled, "it took longer than \(limit) s (timeout)")
        }
        defer { group.cancelAll() }
        // Both throw if neither is done.
        return try await group.next()!
    }
}

/// Runs the launch, and opens the database with the SDK. Rules 9 and 10 of CONTRACT.md.
private func openAfter(
    _ launch: Launch, _ paths: Paths, _ source: SnapshotSource, _ logger: any LoggerProtocol, _ statements: [String],
    _ open: @Sendable () -> PowerSyncDatabaseProtocol
) async throws -> PowerSyncDatabaseProtocol {
    try Files.makeDirectory(of: paths.database)
    let streams = try source.form == .stream || isEncrypted(paths, statements)
    var failure = streams ? nil : try await launch.run()
    var db = open()
    do {
        // Nothing is open before the first question.
        _ = try await db.getPowerSyncVersion()
    } catch {
        try? await db.close()
        // A file that was there before may hold what its user has written. One that was installed just now does not.
        if launch.course.outcome.result != .installed { throw error }
        let known = SeedbedError.of(error, .notOpenable, "the SDK cannot open the snapshot")
        try Files.removeDatabase(paths.database)
        launch.course.end(.sync, known.reason)
        if source.whenUnavailable == .fail { throw known }
        failure = known
        db = open()
    }
    do {
        try await db.execute(insertClientId)
        if streams { failure = try await StreamLaunch(db, source, launch.course, launch.record).run() }
        try await db.execute(sql: Record.insert, parameters: [Record.key, try launch.record.text()])
    } catch {
        try? await db.close()
        throw error
    }
    if let failure { logger.warning("starting without a snapshot: \(failure)", tag: "Seedbed") }
    return db
}
