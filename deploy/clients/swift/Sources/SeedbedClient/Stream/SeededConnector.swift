import Foundation
import PowerSync

/// What a seeded connector needs beside the app's own. Times are seconds.
public struct StreamSource: Sendable {
    /// The SDK's, which is connected with the connector.
    public var database: PowerSyncDatabaseProtocol

    /// Where `seedbed serve` answers, as for the other forms.
    public var url: String
    public var storeId: String

    /// The user's token for Seedbed. The one for PowerSync by default.
    public var getToken: (@Sendable () async throws -> String)?

    /// Connections to Seedbed that bring nothing, before it is PowerSync's turn.
    public var tries = 3

    /// In which Seedbed's stream brings nothing, after which it is PowerSync's turn.
    public var silenceLimit: TimeInterval = 30

    /// For the question.
    public var startLimit: TimeInterval = 5

    /// What the app connects with, for a connection that is made anew.
    public var options: ConnectOptions?

    /// Called whenever the SDK asks: `seedbed` or `powersync`, and why.
    public var onChoice: (@Sendable (_ endpoint: String, _ reason: String) -> Void)?

    public init(database: PowerSyncDatabaseProtocol, url: String, storeId: String) {
        self.database = database
        self.url = url
        self.storeId = storeId
    }
}

/// The stream form: returns the app's connector with other credentials. They are Seedbed's while the database has never synced and has no
/// local write, and PowerSync's in every other case. Rule 14 of CONTRACT.md.
public func seededConnector(_ connector: PowerSyncBackendConnectorProtocol, _ source: StreamSource) -> PowerSyncBackendConnectorProtocol {
    SeededConnector(connector, source)
}

private actor SeededConnector: PowerSyncBackendConnectorProtocol {
    private let connector: PowerSyncBackendConnectorProtocol
    private let source: StreamSource

    /// Times that Seedbed was named since the last sync.
    private var tried = 0
    private var watch: Task<Void, Never>?
    private var quietUntil = Date.distantPast

    init(_ connector: PowerSyncBackendConnectorProtocol, _ source: StreamSource) {
        self.connector = connector
        self.source = source
    }

    /// For which a Seedbed that has nothing, or does not answer, is not asked by a device that has synced.
    private static let remembered: TimeInterval = 60

    nonisolated func uploadData(database: PowerSyncDatabaseProtocol) async throws {
        try await connector.uploadData(database: database)
    }

    func fetchCredentials() async throws -> PowerSyncCredentials? {
        // Signed out.
        guard let own = try await connector.fetchCredentials() else { return nil }
        var choice: (reason: String, seedbeds: PowerSyncCredentials?)
        do {
            choice = try await choose(own)
        } catch {
            choice = ("\(error)", nil)
        }
        watch?.cancel()
        watch = choice.seedbeds == nil ? nil : Task { await self.watched() }
        source.onChoice?(choice.seedbeds == nil ? "powersync" : "seedbed", choice.reason)
        return choice.seedbeds ?? own
    }

    private func watched() async {
        guard let silent = try? await isSilent(source.database, source.silenceLimit), silent else { return }
        tried = source.tries
        quietUntil = Date().addingTimeInterval(Self.remembered)
        let status = source.database.currentStatus
        // Unless the app has disconnected. Positions stay: what has arrived is not downloaded again.
        if !status.connected, !status.connecting, status.downloadError == nil { return }
        watch = nil
        try? await source.database.connect(connector: self, options: source.options)
    }

    private func choose(_ own: PowerSyncCredentials) async throws -> (reason: String, seedbeds: PowerSyncCredentials?) {
        let device = try await Device.read(source.database)
        // What comes after a clear is another first sync.
        if device.synced { tried = 0 }
        if device.writes { return ("local_writes", nil) }
        if device.synced, !device.begun { return ("synced", nil) }
        if tried >= source.tries { return ("tried", nil) }
        if device.synced, Date() < quietUntil { return ("synced", nil) }
        // It goes on where it is, at the service: a stream of Seedbed's begins at the start.
        if device.begun, device.generation == nil { return ("own_positions", nil) }
        let token = try await source.getToken?() ?? own.token
        let start = await Start.ask(
            source.url, storeId: source.storeId, token: token, generation: device.generation, limit: source.startLimit)
        guard let endpoint = start.endpoint else {
            // A device that goes on at the service does not ask before each of its connections.
            quietUntil = Date().addingTimeInterval(Self.remembered)
            return (start.why, nil)
        }
        tried += 1
        return (start.why, PowerSyncCredentials(endpoint: endpoint, token: token))
    }
}
