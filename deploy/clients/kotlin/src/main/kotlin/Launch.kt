package seedbed.client

import com.powersync.PersistentConnectionFactory
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.delay
import kotlinx.coroutines.ensureActive
import seedbed.client.database.Finish
import seedbed.client.database.Inspection
import seedbed.client.database.LaunchLock
import seedbed.client.database.Record
import seedbed.client.database.Sealed
import seedbed.client.database.inspect
import seedbed.client.database.install
import seedbed.client.database.isEncrypted
import seedbed.client.database.service
import seedbed.client.platform.Files
import seedbed.client.platform.Http
import seedbed.client.platform.Paths
import seedbed.client.snapshot.Note
import seedbed.client.snapshot.Staging
import kotlin.coroutines.cancellation.CancellationException

/**
 * A first launch from a snapshot. The states are those of CONTRACT.md; each function is one, and names what a process leaves
 * that is killed in it.
 *
 * @param schema The app's, as JSON.
 */
internal class Launch(
    private val factory: PersistentConnectionFactory,
    private val http: Http,
    database: String,
    private val schema: String,
    private val source: SnapshotSource,
) {
    val record = Record(source.storeId, service(source.endpoint), source.account)
    val course = Course(source.onProgress)
    private val paths = Paths(database)
    private var lock: LaunchLock? = null

    /**
     * Puts the snapshot where the SDK will open the database, if what is there may be replaced.
     *
     * @return Why there is no snapshot; null if there is, or if the database is kept.
     * @throws SeedbedException As `whenUnavailable` says; if it is another store's.
     */
    suspend fun run(): SeedbedException? {
        try {
            val kept = look().kept
            // In use for a moment: another launch is about to replace it.
            if (kept != null && kept != Reason.IN_USE && !paths.isUnderWay()) return keep(kept)
            course.enter(Stage.WAITING)
            return source.inTime(::locked)
        } catch (error: CancellationException) {
            course.end(Result.FAILED, Reason.CANCELLED)
            throw error
        } catch (error: Exception) {
            val known = error.asSeedbedException(Reason.NOT_OPENABLE, "the launch failed")
            // A directory that is missing, or not writable: what the SDK says about it is what the app wants to know.
            if (known.reason != Reason.WRONG_STORE && source.whenUnavailable == WhenUnavailable.SYNC) return unavailable(known)
            course.end(Result.FAILED, known.reason)
            throw known
        } finally {
            course.enter(null)
        }
    }

    /** Lets other launches go on: once the database is open, since the SDK's first statements wait for no lock. */
    fun end() {
        lock?.release()
        lock = null
    }

    /** INSPECT: leaves the database as it was. */
    fun look(): Inspection {
        val inspection = inspect(factory, paths.database)
        val its = inspection.record
        if (inspection.kept != null && its != null && !its.isSameStore(record)) {
            throw SeedbedException(
                Reason.WRONG_STORE,
                "the database is of store ${its.store}: give each store and account a file name of its own",
            )
        }
        return inspection
    }

    /** LOCKED: leaves an empty lock file. */
    private suspend fun locked(): SeedbedException? {
        val taken = LaunchLock.take(factory, paths.lock)
        lock = taken
        course.core = taken.core
        var wait = source.silenceLimit / FIRST_PAUSE
        while (true) {
            // Another launch may have installed one in the meantime.
            look().kept?.let {
                paths.removeLeftovers()
                return keep(it)
            }
            try {
                attempt()
                return null
            } catch (error: Exception) {
                val known = error.asSeedbedException(Reason.NOT_OPENABLE, "no snapshot")
                // Without a file there is still the stream, for a database with a key.
                if (source.whenUnavailable == WhenUnavailable.SYNC || known.reason == Reason.ENCRYPTED) return unavailable(known)
                // What lasts is not worth keeping the bytes for.
                if (known.reason.lasts) paths.removeLeftovers()
                if (source.whenUnavailable == WhenUnavailable.FAIL || known.reason.lasts) throw known
                course.enter(Stage.WAITING)
                delay(known.retryAfter ?: wait)
                wait = minOf(2 * wait, LONGEST_PAUSE * source.silenceLimit)
            }
        }
    }

    fun keep(reason: Reason): SeedbedException? {
        course.end(Result.KEPT, reason)
        return null
    }

    /** UNAVAILABLE: leaves less and less of the launch's files. */
    private fun unavailable(error: SeedbedException): SeedbedException {
        runCatching { paths.removeLeftovers() }
        course.end(Result.SYNC, error.reason)
        return error
    }

    /** From a question to an installed database. */
    private suspend fun attempt() {
        val encryption = source.encryption
        val encrypted = isEncrypted(factory, paths.probe)
        if (encryption == null && encrypted) {
            throw SeedbedException(Reason.ENCRYPTED, "the app's database has a key, and a snapshot would lie on the disk in plain text")
        }
        if (encryption != null && !encrypted) throw PlainFactoryException()
        val note = Note.read(paths)
        val staged = Staging(http, paths, source, course, record, note).run()
        val rendition = staged.rendition
        course.form = rendition.form
        course.encoding = rendition.encoding
        course.enter(Stage.FINISHING)
        try {
            val sealed = encryption?.let { Sealed(factory, it) }
            Finish(factory, sealed, rendition.form, rendition.finish, record, schema, source.prepare).run(paths.staged, staged.key)
        } catch (error: SeedbedException) {
            paths.removeLeftovers()
            throw error
        }
        currentCoroutineContext().ensureActive()
        Files.sync(paths.staged)
        val kept = install(factory, paths)
        if (kept != null) {
            paths.removeLeftovers()
            keep(kept)
            return
        }
        note.remove()
        course.end(Result.INSTALLED)
    }
}
