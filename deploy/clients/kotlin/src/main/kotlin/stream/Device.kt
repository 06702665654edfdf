package seedbed.client.stream

import com.powersync.PowerSyncDatabase

/**
 * What a device has of a store, as its database says it: what decides where its next connection goes. Rule 14 of CONTRACT.md.
 *
 * @property synced Whether a sync has completed.
 * @property writes Whether there is a local write that the service has not confirmed: then no checkpoint is applied.
 * @property begun Whether it has a position in any bucket.
 * @property generation The newest of them: the number before the `#` of their names. Null if one has none.
 */
internal class Device(
    val synced: Boolean,
    val writes: Boolean,
    val begun: Boolean,
    val generation: String?,
) {
    companion object {
        suspend fun of(database: PowerSyncDatabase): Device {
            val (synced, crud, uploaded) = database.get(STATE) { row -> List(3) { row.getLong(it) == 1L } }
            val generations = database.getAll(GENERATIONS) { it.getString(0).orEmpty() }
            val named = generations.isNotEmpty() && generations.all { name -> name.isNotEmpty() && name.all { it in '0'..'9' } }
            return Device(
                synced,
                writes = crud || uploaded || isOpenBefore(database),
                begun = generations.isNotEmpty(),
                generation = generations.takeIf { named }?.maxBy(String::toBigInteger),
            )
        }

        /** In core extension 0.4 an open write checkpoint is a bucket of its own (`can_update_local` of its `sync_local.rs`). */
        private suspend fun isOpenBefore(database: PowerSyncDatabase): Boolean {
            val hasTargets = database.getAll(HAS_TARGETS) { }.isNotEmpty()
            return hasTargets && database.getAll(OPEN_BEFORE) { }.isNotEmpty()
        }

        /** PowerSync's own tables and keys, up to core extension 0.5. */
        private const val STATE = """SELECT EXISTS (SELECT 1 FROM ps_sync_state), EXISTS (SELECT 1 FROM ps_crud),
         (SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'target_checkpoint_request_id')
           > coalesce((SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'last_seen_checkpoint_request_id'), -1)"""
        private const val OPEN_BEFORE = "SELECT 1 FROM ps_buckets WHERE name = '\$local' AND target_op > last_op"
        private const val HAS_TARGETS = "SELECT 1 FROM pragma_table_info('ps_buckets') WHERE name = 'target_op'"
        private const val GENERATIONS =
            "SELECT DISTINCT substr(name, 1, instr(name, '#') - 1) FROM ps_buckets WHERE last_op > 0 AND name <> '\$local'"
    }
}
