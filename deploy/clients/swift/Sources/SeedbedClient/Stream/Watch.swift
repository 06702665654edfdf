import Foundation
import PowerSync

/// SDKs keep their credentials until the server refuses them, so one that cannot reach Seedbed's stream would try it for ever. This waits
/// until a connection has brought nothing for the silence limit, or its sync is over. When all operations have arrived they are applied,
/// and that says nothing for as long as it takes.
///
/// - Returns: Whether it was silent.
func isSilent(
    _ db: PowerSyncDatabaseProtocol, _ silenceLimit: TimeInterval, onOperations: (@Sendable (Int64, Int64) -> Void)? = nil
) async throws -> Bool {
    let before = db.currentStatus.lastSyncedAt
    var most: Int32 = 0
    var last = Date()
    while Date().timeIntervalSince(last) < silenceLimit {
        try await pause(silenceLimit / 30)
        let status = db.currentStatus
        if status.lastSyncedAt != before { return false }
        guard let progress = status.downloadProgress else { continue }
        if progress.downloadedOperations > most {
            most = progress.downloadedOperations
            last = Date()
            onOperations?(Int64(most), Int64(progress.totalOperations))
        }
        if most >= progress.totalOperations { last = Date() }
    }
    return true
}
