import Foundation
import PowerSync

/// What a device has of a store, as its database says it: what decides where its next connection goes.
struct Device: Sendable {
    /// Whether a sync has completed.
    let synced: Bool

    /// Whether there is a local write that the service has not confirmed: then no checkpoint is applied.
    let writes: Bool

    /// Whether it has a position in any bucket.
    let begun: Bool

    /// The newest of them: the number before the `#` of their names. Nil if one has none.
    let generation: String?

    /// PowerSync's own tables and keys, up to core extension 0.5.
    private static let state = """
    SELECT EXISTS (SELECT 1 FROM ps_sync_state),
           EXISTS (SELECT 1 FROM ps_crud) OR coalesce(
             (SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'target_checkpoint_request_id')
               > coalesce((SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'last_seen_checkpoint_request_id'), -1), 0)
    """

    /// In core extension 0.4 an open write checkpoint is a bucket of its own (`can_update_local` of its `sync_local.rs`).
    private static let openBefore = "SELECT 1 FROM ps_buckets WHERE name = '$local' AND target_op > last_op"
    private static let hasTargets = "SELECT 1 FROM pragma_table_info('ps_buckets') WHERE name = 'target_op'"
    private static let generations = """
    SELECT DISTINCT substr(name, 1, instr(name, '#') - 1) FROM ps_buckets WHERE last_op > 0 AND name <> '$local'
    """

    static func read(_ db: PowerSyncDatabaseProtocol) async throws -> Device {
        let (synced, writes) = try await db.get(state) { (try $0.getInt(index: 0) == 1, try $0.getInt(index: 1) == 1) }
        var older = try await !db.getAll(hasTargets) { try $0.getInt(index: 0) }.isEmpty
        if older { older = try await !db.getAll(openBefore) { try $0.getInt(index: 0) }.isEmpty }
        let numbers = try await db.getAll(generations) { Int($0.getStringOptional(index: 0) ?? "") ?? -1 }
        let generation = numbers.allSatisfy { $0 >= 0 } ? numbers.max().map(String.init) : nil
        return Device(synced: synced, writes: writes || older, begun: !numbers.isEmpty, generation: generation)
    }
}
