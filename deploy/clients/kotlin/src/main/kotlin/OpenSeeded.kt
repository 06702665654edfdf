package seedbed.client

import androidx.sqlite.SQLiteConnection
import co.touchlab.kermit.Logger
import com.powersync.DEFAULT_DB_FILENAME
import com.powersync.PersistentConnectionFactory
import com.powersync.PowerSyncDatabase
import com.powersync.db.schema.Schema
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.DelicateCoroutinesApi
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.GlobalScope
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import kotlinx.serialization.json.Json
import seedbed.client.database.INSERT_RECORD
import seedbed.client.database.RECORD_KEY
import seedbed.client.database.Record
import seedbed.client.database.requireCipher
import seedbed.client.platform.Http
import seedbed.client.platform.UrlConnectionHttp
import seedbed.client.platform.removeDatabase
import seedbed.client.stream.StreamLaunch
import java.util.concurrent.ConcurrentLinkedQueue

/**
 * Opens the database, after installing the store's snapshot if there is none yet, or one that never completed a sync and has
 * nothing of its own. The database is ready to read, and not connected: `connect` then downloads what has changed since the
 * snapshot. Without a snapshot, for any reason, the database is empty and `connect` does the normal initial sync; the reason is
 * logged ([SnapshotSource.whenUnavailable] says otherwise).
 *
 * The parameters are those of `PowerSyncDatabase(…)`, and [source]. Each store and account needs a file of its own. Cancelling the
 * coroutine ends the launch within a second; what has been downloaded stays for the next one.
 *
 * @throws SeedbedException As `whenUnavailable` says; if the database is another store's.
 * @throws IllegalArgumentException If there is to be a database with a key, and the factory encrypts nothing.
 * @throws com.powersync.PowerSyncException What the SDK throws when it cannot open the database, with or without a snapshot.
 */
@OptIn(DelicateCoroutinesApi::class)
public suspend fun openSeeded(
    factory: PersistentConnectionFactory,
    schema: Schema,
    source: SnapshotSource,
    dbFilename: String = DEFAULT_DB_FILENAME,
    dbDirectory: String? = null,
    scope: CoroutineScope = GlobalScope,
    logger: Logger? = null,
    http: Http = UrlConnectionHttp,
): PowerSyncDatabase {
    // As `PersistentConnectionFactory.openConnection` does for the SDK.
    val database = dbDirectory?.let { "$it/$dbFilename" } ?: factory.resolveDefaultDatabasePath(dbFilename)
    val launch = Launch(factory, http, database, JSON.encodeToString(Schema.serializer(), schema), source)
    var db: PowerSyncDatabase? = null
    try {
        return withContext(Dispatchers.IO) {
            if (source.encryption != null) requireCipher(factory)
            val open: suspend () -> PowerSyncDatabase = {
                openSdk(factory) { PowerSyncDatabase(it, schema, dbFilename, scope, logger, dbDirectory) }.also { db = it }
            }
            val filled = if (source.form == Form.STREAM) null else openAfter(launch, database, source, logger, open)
            filled ?: openStreamed(launch, StreamLaunch(http, source, launch.course), logger, open)
        }
    } catch (error: Throwable) {
        withContext(NonCancellable) { db?.close() }
        if (error is PlainFactoryException) launch.course.end(Result.FAILED, Reason.NOT_OPENABLE)
        throw error
    } finally {
        val outcome = launch.course.outcome
        source.onOutcome?.invoke(outcome)
        GlobalScope.launch { report(http, source, outcome) }
    }
}

/**
 * Runs the launch, and opens the database with the SDK. Rules 9 and 10 of CONTRACT.md.
 *
 * @return Null, and nothing is open, for a database with a key: any file would lie on the disk in plain text.
 */
private suspend fun openAfter(
    launch: Launch,
    database: String,
    source: SnapshotSource,
    logger: Logger?,
    open: suspend () -> PowerSyncDatabase,
): PowerSyncDatabase? {
    try {
        var failure = launch.run()
        if (failure?.reason == Reason.ENCRYPTED) return null
        val db =
            try {
                open()
            } catch (error: Exception) {
                // A file that was there before may hold what its user has written. One that was installed just now does not.
                if (launch.course.result != Result.INSTALLED) throw error
                failure = error.asSeedbedException(Reason.NOT_OPENABLE, "the SDK cannot open the snapshot")
                removeDatabase(database)
                val fails = source.whenUnavailable == WhenUnavailable.FAIL
                launch.course.end(if (fails) Result.FAILED else Result.SYNC, failure.reason)
                if (fails) throw failure
                open()
            }
        claim(db, launch.record)
        failure?.let { warn(logger, it) }
        return db
    } finally {
        launch.end()
    }
}

/** Opens the database, and has the SDK take its first sync from Seedbed, before the app gets it. Rule 14 of CONTRACT.md. */
private suspend fun openStreamed(
    launch: Launch,
    stream: StreamLaunch,
    logger: Logger?,
    open: suspend () -> PowerSyncDatabase,
): PowerSyncDatabase {
    val course = launch.course
    val kept =
        try {
            launch.look().kept
        } catch (error: SeedbedException) {
            course.end(Result.FAILED, error.reason)
            throw error
        }
    val db =
        try {
            open()
        } catch (error: Exception) {
            course.end(Result.FAILED)
            throw error
        }
    // What there is may be the beginning of another store's.
    if (kept == null) db.execute("DELETE FROM ps_kv WHERE key = ?", listOf(RECORD_KEY))
    claim(db, launch.record)
    if (kept != null) launch.keep(kept) else stream.fill(db)?.let { warn(logger, it) }
    return db
}

/** Says whose database it is, and that it is a client of its own. */
private suspend fun claim(
    db: PowerSyncDatabase,
    record: Record,
) {
    db.execute(INSERT_CLIENT_ID)
    db.execute(INSERT_RECORD, listOf(RECORD_KEY, record.toJson().toString()))
}

private fun warn(
    logger: Logger?,
    failure: SeedbedException,
) = (logger ?: Logger).w("starting without a snapshot", failure, "Seedbed")

/**
 * Waits until the SDK has opened the database, and leaves nothing open if it cannot: the SDK forgets connections that it could not
 * set up.
 */
private suspend fun openSdk(
    factory: PersistentConnectionFactory,
    open: (PersistentConnectionFactory) -> PowerSyncDatabase,
): PowerSyncDatabase {
    val opened = ConcurrentLinkedQueue<SQLiteConnection>()
    val watched =
        object : PersistentConnectionFactory by factory {
            override fun openConnection(
                path: String,
                openFlags: Int,
            ): SQLiteConnection = factory.openConnection(path, openFlags).also(opened::add)

            override fun openConnection(
                dbFilename: String,
                dbDirectory: String?,
                readOnly: Boolean,
            ): SQLiteConnection = factory.openConnection(dbFilename, dbDirectory, readOnly).also(opened::add)
        }
    val db = open(watched)
    try {
        // Any question waits for the SDK's initialization, and throws what that has thrown.
        db.getPowerSyncVersion()
        return db
    } catch (error: Throwable) {
        withContext(NonCancellable) { runCatching { db.close() } }
        for (connection in opened) runCatching { connection.close() }
        throw error
    } finally {
        opened.clear()
    }
}

/** As the SDK writes a schema for its core extension. */
private val JSON = Json { encodeDefaults = true }

/**
 * A file that an older package has placed has none, and the core extension makes one only when it creates `ps_kv`
 * (`migrations.rs`, version 3, in powersync-sqlite-core 0.5.4): every connection would fail with "No client_id found in
 * ps_kv" (`kv.rs`).
 */
private const val INSERT_CLIENT_ID = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES ('client_id', uuid())"
