import Foundation
import PowerSync
import SeedbedClient

typealias Fields = [String: Any]

private let schema = Schema(tables: [
    Table(
        name: "products",
        columns: ["store_id", "name", "description", "price", "created_at", "image_url"].map { Column.text($0) } + [.integer("quantity")]
    ),
    Table(name: "orders", columns: [.text("store_id"), .text("status"), .integer("total")]),
    Table(name: "drafts", columns: [.text("text")], localOnly: true),
])

private let output = NSLock()

func say(_ line: Fields) {
    guard let text = try? JSONSerialization.data(withJSONObject: line) else { return }
    output.lock()
    defer { output.unlock() }
    FileHandle.standardOutput.write(text + Data("\n".utf8))
}

/// The app, and what it does when it is told.
final class App: @unchecked Sendable {
    private var db: PowerSyncDatabaseProtocol!
    private var launch: Task<PowerSyncDatabaseProtocol, Error>?
    private var outcome: LaunchOutcome?
    private var subscription: (any SyncStreamSubscription)?
    private var choices: [String] = []

    func answer(_ fields: Fields) async {
        let command = fields["do"] as? String ?? ""
        var answer: Fields
        do {
            answer = try await run(command, fields)
            answer["ok"] = true
        } catch {
            answer = ["ok": false, "message": "\(error)", "code": (error as? SeedbedError)?.reason.rawValue ?? NSNull() as Any]
            if command == "open" { answer["outcome"] = outcomeAsJson() }
        }
        answer["id"] = fields["id"]
        say(answer)
    }

    private func run(_ command: String, _ fields: Fields) async throws -> Fields {
        switch command {
        case "hello":
            return ["platform": "swift", "forms": ["file", "compact"], "encodings": ["gzip", "identity"], "softClear": true]
        case "open": return try await open(fields)
        case "cancel": launch?.cancel()
        case "query": return ["rows": try await query(fields)]
        case "execute": try await db.execute(sql: fields["sql"] as? String ?? "", parameters: parameters(fields))
        case "status": return ["hasSynced": db.currentStatus.hasSynced == true]
        case "connect": try await connect(fields)
        case "choices": return ["choices": choices]
        case "disconnect": try await db.disconnect()
        case "clear": try await db.disconnectAndClear(clearLocal: true, soft: fields["soft"] as? Bool ?? false)
        case "close":
            try await subscription?.unsubscribe()
            subscription = nil
            try await db.close()
        default: throw CocoaError(.featureUnsupported)
        }
        return [:]
    }

    private func open(_ fields: Fields) async throws -> Fields {
        outcome = nil
        let source = wanted(fields)
        let path = (fields["directory"] as? String ?? "") + "/app.db"
        let launch = Task { try await openSeeded(schema: schema, source: source, dbFilename: path) }
        self.launch = launch
        db = try await launch.value
        return ["outcome": outcomeAsJson()]
    }

    private func wanted(_ fields: Fields) -> SnapshotSource {
        let token = fields["token"] as? String ?? ""
        var source = SnapshotSource(url: fields["url"] as? String ?? "", storeId: fields["storeId"] as? String ?? "") { token }
        if let form = (fields["form"] as? String).flatMap(SnapshotForm.init(rawValue:)) { source.form = form }
        if let what = (fields["whenUnavailable"] as? String).flatMap(WhenUnavailable.init(rawValue:)) { source.whenUnavailable = what }
        source.endpoint = fields["endpoint"] as? String
        source.account = fields["account"] as? String
        source.generation = fields["generation"] as? String
        source.maxAge = (fields["maxAge"] as? NSNumber)?.doubleValue
        source.report = fields["report"] as? Bool ?? false
        if let limit = milliseconds(fields, "silenceLimit") { source.silenceLimit = limit }
        if let limit = milliseconds(fields, "waitLimit") { source.waitLimit = limit }
        source.timeLimit = milliseconds(fields, "timeLimit")
        source.onOutcome = { self.outcome = $0 }
        if fields["progress"] as? Bool == true {
            source.onProgress = { now in
                let total: Any = now.total.map { $0 as Any } ?? NSNull()
                say(["progress": ["stage": now.stage.rawValue, "bytes": now.bytes, "total": total]])
            }
        }
        return source
    }

    private func milliseconds(_ fields: Fields, _ name: String) -> TimeInterval? {
        (fields[name] as? NSNumber).map { $0.doubleValue / 1000 }
    }

    private func outcomeAsJson() -> Any {
        guard let outcome else { return NSNull() }
        func orNull(_ value: String?) -> Any { value.map { $0 as Any } ?? NSNull() }
        return [
            "outcome": outcome.reason == .cancelled ? "cancelled" : outcome.result.rawValue,
            "reason": orNull(outcome.reason?.rawValue),
            "form": orNull(outcome.form?.rawValue),
            "encoding": orNull(outcome.encoding?.rawValue),
            "bytes": outcome.bytes,
            "resumes": outcome.resumes,
        ] as Fields
    }

    private func query(_ fields: Fields) async throws -> [Fields] {
        try await db.getAll(sql: fields["sql"] as? String ?? "", parameters: parameters(fields)) { cursor in
            var row: Fields = [:]
            for (name, at) in cursor.columnNames {
                // The cursor makes a text of any value, and does not say what it was.
                let text = cursor.getStringOptional(index: at)
                row[name] = text.flatMap(Int64.init).map { $0 as Any } ?? text.map { $0 as Any } ?? NSNull()
            }
            return row
        }
    }

    private func parameters(_ fields: Fields) -> [Sendable?] {
        (fields["parameters"] as? [Any] ?? []).map { $0 as? String }
    }

    private func connect(_ fields: Fields) async throws {
        let before = db.currentStatus.lastSyncedAt
        subscription = try await db.syncStream(name: "orders_by_status", params: ["status": .string("open")]).subscribe()
        choices = []
        let options = ConnectOptions(retryDelay: milliseconds(fields, "retryDelayMs") ?? 0.1)
        var connector: PowerSyncBackendConnectorProtocol = Connector(fields)
        if let seeded = fields["seeded"] as? Fields { connector = seededConnector(connector, streamSource(seeded, options)) }
        try await db.connect(connector: connector, options: options)
        if fields["wait"] as? Bool == false { return }
        while db.currentStatus.lastSyncedAt == before { try await Task.sleep(nanoseconds: 20_000_000) }
    }

    private func streamSource(_ fields: Fields, _ options: ConnectOptions) -> StreamSource {
        var source = StreamSource(database: db, url: fields["url"] as? String ?? "", storeId: fields["storeId"] as? String ?? "")
        source.options = options
        source.tries = fields["tries"] as? Int ?? 3
        if let limit = milliseconds(fields, "silenceLimit") { source.silenceLimit = limit }
        if let limit = milliseconds(fields, "startLimit") { source.startLimit = limit }
        if let token = fields["token"] as? String { source.getToken = { token } }
        source.onChoice = { self.choices.append("\($0): \($1)") }
        return source
    }
}

/// The app's own. An upload takes what there is, if it is told to.
private final class Connector: PowerSyncBackendConnectorProtocol, @unchecked Sendable {
    private let endpoint: String
    private let token: String
    private let uploads: Bool

    init(_ fields: Fields) {
        endpoint = fields["endpoint"] as? String ?? ""
        token = fields["token"] as? String ?? ""
        uploads = fields["uploads"] as? Bool ?? false
    }

    func fetchCredentials() async throws -> PowerSyncCredentials? {
        PowerSyncCredentials(endpoint: endpoint, token: token)
    }

    func uploadData(database: PowerSyncDatabaseProtocol) async throws {
        guard uploads else { return }
        while let transaction = try await database.getNextCrudTransaction() { try await transaction.complete() }
    }
}
