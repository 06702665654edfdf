package seedbed.client.stream

import com.powersync.PowerSyncDatabase
import com.powersync.sync.SyncStatusData
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.collectLatest
import kotlinx.coroutines.launch

/**
 * One connection to Seedbed, and the SDK's further tries of it. The SDK keeps its credentials until a server refuses them, so
 * it would try a stream that it cannot have for ever.
 *
 * @param silenceLimit Milliseconds.
 * @param silent Called when nothing came for that long.
 */
internal class Watch(
    private val database: PowerSyncDatabase,
    private val tries: Int,
    private val silenceLimit: Long,
    scope: CoroutineScope,
    private val silent: () -> Unit,
) {
    private var left = tries

    /** Operations that have arrived, at the most: a connection that brings none is a fruitless one. */
    private var most = 0
    private var begun = false
    private val job = scope.launch { database.currentStatus.asFlow().collectLatest(::heard) }

    /** The SDK connects again: whether it should. */
    @Synchronized
    fun again(): Boolean = --left > 0

    fun end() = job.cancel()

    private suspend fun heard(status: SyncStatusData) {
        val progress = status.downloadProgress
        arrived(progress?.downloadedOperations ?: 0)
        if (status.connected || status.connecting) {
            begun = true
        } else if (begun) {
            // The app has disconnected.
            return end()
        }
        // All are there, and are being applied: that says nothing for as long as it takes.
        if (progress != null && progress.downloadedOperations >= progress.totalOperations) return
        delay(silenceLimit)
        end()
        silent()
    }

    @Synchronized
    private fun arrived(operations: Int) {
        if (operations <= most) return
        most = operations
        left = tries
    }
}
