import Foundation
import PowerSync

/// A first launch in the stream form: the SDK itself takes the first sync from Seedbed, before the app has the database.
struct StreamLaunch: Sendable {
    private let db: PowerSyncDatabaseProtocol
    private let source: SnapshotSource
    private let course: Course
    private let record: Record

    init(_ db: PowerSyncDatabaseProtocol, _ source: SnapshotSource, _ course: Course, _ record: Record) {
        self.db = db
        self.source = source
        self.course = course
        self.record = record
    }

    /// Brings the first sync into the open database, if it has none; the answer says why it is not there.
    func run() async throws -> SeedbedError? {
        defer { course.enter(nil) }
        let text = try await db.getOptional(sql: "SELECT value FROM ps_kv WHERE key = ?", parameters: [Record.key]) { try $0.getString(index: 0) }
        if let its = Record.parse(text), !its.isSameStore(record) {
            throw SeedbedError(.wrongStore, "the database is of store \(its.store): give each store and account a file name of its own")
        }
        let device = try await Device.read(db)
        if device.writes || device.synced {
            course.end(.kept, device.writes ? .localWrites : .synced)
            return nil
        }
        var wait = source.silenceLimit / 6
        while true {
            do {
                try await take()
                course.outcome.form = .stream
                course.end(.installed)
                return nil
            } catch {
                try Task.checkCancellation()
                let known = SeedbedError.of(error, .cut, "no stream")
                if source.whenUnavailable == .sync {
                    // Positions that have arrived stay: `connect` goes on with them.
                    course.end(.sync, known.reason)
                    return known
                }
                if source.whenUnavailable == .fail || known.reason.lasts { throw known }
                course.enter(.waiting)
                try await pause(wait)
                wait = min(2 * wait, 2 * source.silenceLimit)
            }
        }
    }

    private func take() async throws {
        course.enter(.waiting)
        try await source.subscribe?(db)
        let token: String
        do {
            token = try await source.getToken()
        } catch {
            throw SeedbedError.of(error, .noToken, "the app has no token")
        }
        let device = try await Device.read(db)
        let start = await Start.ask(
            source.url, storeId: source.storeId, token: token, generation: device.generation, limit: source.silenceLimit)
        try Task.checkCancellation()
        guard let endpoint = start.endpoint else { throw SeedbedError(start.reason, "Seedbed has no stream for the device: \(start.why)") }
        course.enter(.downloading)
        let once = Once(endpoint, source.getToken)
        do {
            // The pause of the SDK between two connections is a thirtieth of the silence limit: a second.
            try await db.connect(connector: once, options: ConnectOptions(retryDelay: source.silenceLimit / 30))
            try await firstSync(once)
        } catch {
            try? await db.disconnect()
            throw error
        }
        try await db.disconnect()
    }

    /// Until the sync is over, the connection is silent, or Seedbed refuses it.
    private func firstSync(_ once: Once) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await db.waitForFirstSync() }
            group.addTask {
                let silent = try await isSilent(db, source.silenceLimit) { course.tell($0, $1) }
                if silent { throw SeedbedError(.stalled, "the stream brought nothing for \(source.silenceLimit) s") }
                try await db.waitForFirstSync()
            }
            group.addTask {
                while !(await once.isRefused) { try await pause(source.silenceLimit / 30) }
                throw SeedbedError(.unauthorized, "Seedbed refuses the stream: the token, the subscriptions, or a sync that has begun")
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

/// The SDK asks again when it was refused: then there is nothing more from Seedbed.
private actor Once: PowerSyncBackendConnectorProtocol {
    private let endpoint: String
    private let getToken: @Sendable () async throws -> String
    private var asked = 0

    init(_ endpoint: String, _ getToken: @escaping @Sendable () async throws -> String) {
        self.endpoint = endpoint
        self.getToken = getToken
    }

    var isRefused: Bool { asked > 1 }

    func fetchCredentials() async throws -> PowerSyncCredentials? {
        asked += 1
        return PowerSyncCredentials(endpoint: endpoint, token: try await getToken())
    }

    /// Nobody has the database yet; what there is stays for the app's own connector.
    nonisolated func uploadData(database _: PowerSyncDatabaseProtocol) async throws {
        throw SeedbedError(.stalled, "the first sync is not over")
    }
}
