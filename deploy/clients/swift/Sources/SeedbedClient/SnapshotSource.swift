import Foundation
import PowerSync

/// What is downloaded.
public enum SnapshotForm: String, Sendable {
    /// As the snapshot guide has it.
    case file

    /// A fraction of the bytes; the device finishes it.
    case compact

    /// The SDK takes its first sync from Seedbed; nothing is placed.
    case stream
}

/// How the bytes of a rendition are stored.
public enum Packing: String, Sendable { case gzip, identity }

/// What to do without a snapshot.
public enum WhenUnavailable: String, Sendable {
    /// Open an empty database, so that `connect` does the normal initial sync.
    case sync

    /// Keep trying, for as long as the reason may pass.
    case wait

    /// Throw a `SeedbedError`.
    case fail
}

/// What a launch is doing.
public enum LaunchStage: String, Sendable { case waiting, downloading, unpacking, finishing }

/// How far a launch is.
public struct LaunchProgress: Sendable {
    public let stage: LaunchStage

    /// Never goes back within a stage, but for a download that starts anew. Operations, in the form stream.
    public let bytes: Int64

    /// Nil if it is not known.
    public let total: Int64?
}

/// How a launch has ended.
public enum LaunchResult: String, Sendable { case kept, installed, sync, failed }

/// What has come of a launch.
public struct LaunchOutcome: Sendable {
    public internal(set) var result = LaunchResult.kept

    /// Nil if a snapshot was installed.
    public internal(set) var reason: Reason?
    public internal(set) var form: SnapshotForm?
    public internal(set) var encoding: Packing?

    /// That came over the network.
    public internal(set) var bytes: Int64 = 0
    public internal(set) var resumes = 0

    /// That each stage took.
    public internal(set) var seconds: [LaunchStage: Double] = [:]

    /// The version of the SDK's core extension; nil for a database that was kept.
    public internal(set) var core: String?
}

/// Where the snapshot comes from, and what the app wants of it. Times are seconds.
public struct SnapshotSource: Sendable {
    /// Where `seedbed serve` answers: `https://seedbed.example.com/database`.
    public var url: String

    /// The store whose snapshot is wanted.
    public var storeId: String

    /// The user's token, which must allow the store. Asked for before each question, and not at all when the database is kept.
    public var getToken: @Sendable () async throws -> String
    public var form = SnapshotForm.file
    public var whenUnavailable = WhenUnavailable.sync

    /// The PowerSync service that the app connects to. A snapshot of another one is refused.
    public var endpoint: String?

    /// Who uses the database. One of another account is refused.
    public var account: String?

    /// The generation that the app needs.
    public var generation: String?

    /// Since the snapshot was verified.
    public var maxAge: TimeInterval?

    /// Subscribes to streams beyond the default ones, before a launch in the form stream.
    public var subscribe: (@Sendable (PowerSyncDatabaseProtocol) async throws -> Void)?

    /// Statements that make the app's raw tables, before a compact file is finished.
    public var prepare: [String] = []

    /// Without a byte, after which a request is given up.
    public var silenceLimit: TimeInterval = 30

    /// To wait for a store that is being seeded, or a busy server.
    public var waitLimit: TimeInterval = 120

    /// For all of it, if there is to be such a limit.
    public var timeLimit: TimeInterval?

    /// Whether to send an anonymous report of a first launch.
    public var report = false
    public var onProgress: (@Sendable (LaunchProgress) -> Void)?

    /// Called once, when the database is open or the launch has failed.
    public var onOutcome: (@Sendable (LaunchOutcome) -> Void)?

    public init(url: String, storeId: String, getToken: @escaping @Sendable () async throws -> String) {
        self.url = url
        self.storeId = storeId
        self.getToken = getToken
    }
}
