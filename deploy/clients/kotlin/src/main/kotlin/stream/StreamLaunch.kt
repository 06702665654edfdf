package seedbed.client.stream

import com.powersync.PowerSyncDatabase
import com.powersync.connectors.PowerSyncBackendConnector
import com.powersync.connectors.PowerSyncCredentials
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.cancel
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import seedbed.client.Course
import seedbed.client.FIRST_PAUSE
import seedbed.client.Form
import seedbed.client.LONGEST_PAUSE
import seedbed.client.Reason
import seedbed.client.Result
import seedbed.client.SeedbedException
import seedbed.client.SnapshotSource
import seedbed.client.Stage
import seedbed.client.WhenUnavailable
import seedbed.client.asSeedbedException
import seedbed.client.inTime
import seedbed.client.platform.Http
import kotlin.coroutines.cancellation.CancellationException

/** A first launch in the form `stream`: the SDK itself takes the first sync from Seedbed, before the app has the database. */
internal class StreamLaunch(
    private val http: Http,
    private val source: SnapshotSource,
    private val course: Course,
) {
    /**
     * Brings the first sync into an open database that has none. Positions that have arrived before it failed stay: `connect`
     * goes on with them.
     *
     * @return Why it is not there.
     */
    suspend fun fill(db: PowerSyncDatabase): SeedbedException? {
        try {
            source.inTime { tryToTake(db) }
            course.form = Form.STREAM
            course.end(Result.INSTALLED)
            return null
        } catch (error: CancellationException) {
            course.end(Result.FAILED, Reason.CANCELLED)
            throw error
        } catch (error: SeedbedException) {
            val goesOn = source.whenUnavailable == WhenUnavailable.SYNC
            course.end(if (goesOn) Result.SYNC else Result.FAILED, error.reason)
            return if (goesOn) error else throw error
        } finally {
            course.enter(null)
        }
    }

    private suspend fun tryToTake(db: PowerSyncDatabase) {
        var wait = source.silenceLimit / FIRST_PAUSE
        while (true) {
            try {
                return take(db)
            } catch (error: Exception) {
                val known = error.asSeedbedException(Reason.CUT, "no stream")
                if (source.whenUnavailable != WhenUnavailable.WAIT || known.reason.lasts) throw known
                course.enter(Stage.WAITING)
                delay(known.retryAfter ?: wait)
                wait = minOf(2 * wait, LONGEST_PAUSE * source.silenceLimit)
            }
        }
    }

    private suspend fun take(db: PowerSyncDatabase) {
        course.enter(Stage.WAITING)
        source.subscribe?.invoke(db)
        val token =
            try {
                source.getToken()
            } catch (error: Exception) {
                throw error.asSeedbedException(Reason.NO_TOKEN, "the app has no token")
            }
        val question = StartQuestion(source.storeId, token, Device.of(db).generation, source.silenceLimit)
        val start = askStart(http, endpointOf(source.url), question)
        val endpoint = start.endpoint ?: throw SeedbedException(start.reason, "Seedbed has no stream for the device: ${start.why}")
        course.enter(Stage.DOWNLOADING)
        val connection = Connection(db, endpoint)
        try {
            db.connect(connection, retryDelayMs = source.silenceLimit / PAUSES)
            connection.done.await()
        } finally {
            connection.end()
            withContext(NonCancellable) { db.disconnect() }
        }
    }

    /** The SDK's connection to Seedbed, until the first sync has completed. */
    private inner class Connection(
        private val db: PowerSyncDatabase,
        private val endpoint: String,
    ) : PowerSyncBackendConnector() {
        val done = CompletableDeferred<Unit>()
        private val scope = CoroutineScope(Dispatchers.Default)

        // The SDK is about to connect for the first time, which is no further try.
        private val watch = Watch(db, TRIES + 1, source.silenceLimit, scope, ::late)

        init {
            scope.launch {
                db.currentStatus.asFlow().collect { status ->
                    status.downloadProgress?.let { course.progress(it.downloadedOperations.toLong(), it.totalOperations.toLong()) }
                    if (status.hasSynced == true) done.complete(Unit)
                }
            }
        }

        override suspend fun getCredentialsCached(): PowerSyncCredentials? {
            if (!watch.again()) late()
            return super.getCredentialsCached()
        }

        override suspend fun fetchCredentials() = PowerSyncCredentials(endpoint, source.getToken())

        /** After a 401, and after the last line of a stream, which has been applied then. */
        override fun invalidateCredentials() {
            super.invalidateCredentials()
            scope.launch {
                val synced = runCatching { Device.of(db).synced }.getOrDefault(false)
                if (synced) done.complete(Unit) else done.completeExceptionally(refusal())
            }
        }

        /** Nobody has the database yet; what there is stays for the app's own connector. */
        override suspend fun uploadData(database: PowerSyncDatabase): Unit = error("the first sync is not over")

        fun end() = scope.cancel()

        private fun late() {
            val message = "the stream brought nothing, for ${source.silenceLimit / 1000.0} s or in $TRIES connections"
            done.completeExceptionally(SeedbedException(Reason.STALLED, message))
        }

        private fun refusal() =
            SeedbedException(
                Reason.UNAUTHORIZED,
                "Seedbed refuses the stream: the token, the subscriptions, or a sync that has begun",
            )
    }

    private companion object {
        /** Connections that bring nothing, and the pause of the SDK between two: a part of the silence limit, one second. */
        const val TRIES = 3
        const val PAUSES = 30
    }
}
