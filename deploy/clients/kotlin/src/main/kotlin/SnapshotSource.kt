package seedbed.client

import androidx.sqlite.SQLiteConnection
import com.powersync.PowerSyncDatabase

/** Which database is downloaded. */
public enum class Form {
    /** As the snapshot guide has it. */
    FILE,

    /** A fraction of the bytes; the device finishes it. */
    COMPACT,

    /** No file: the SDK takes its first sync from Seedbed. Rule 14 of CONTRACT.md. */
    STREAM,
}

/** How the bytes of a rendition are stored. The last two are those of sealed files, which are encrypted databases. */
public enum class Encoding { GZIP, IDENTITY, CHACHA20, SQLCIPHER4 }

/** What an encrypted database is written with. */
public enum class Cipher(
    internal val encoding: Encoding,
) {
    /** That of SQLite3MultipleCiphers, unless it is told otherwise, and so of `com.powersync:sqlite3multipleciphers`. */
    CHACHA20(Encoding.CHACHA20),

    /** SQLCipher 4, also as SQLite3MultipleCiphers writes it (`cipher = 'sqlcipher'`, `legacy = 4`). */
    SQLCIPHER4(Encoding.SQLCIPHER4),
}

/**
 * How the app's database is encrypted: then it begins with a sealed file. The factory opens its databases with this very key.
 *
 * @property key The app's own, as `PRAGMA key` takes it: a passphrase, or a raw key in the library's notation.
 * @property format Of the app's database, and of the file.
 */
public class Encryption(
    public val key: String,
    public val format: Cipher = Cipher.CHACHA20,
)

/** What to do without a snapshot. */
public enum class WhenUnavailable {
    /** Open an empty database, so that `connect` does the normal initial sync. */
    SYNC,

    /** Keep trying, for as long as the reason may pass. */
    WAIT,

    /** Throw a [SeedbedException]. */
    FAIL,
}

/** What a launch is doing. */
public enum class Stage { WAITING, DOWNLOADING, UNPACKING, FINISHING }

/**
 * How far a launch is.
 *
 * @property bytes Never goes back within a stage, but for a download that starts anew.
 * @property total Null if it is not known.
 */
public data class Progress(
    val stage: Stage,
    val bytes: Long,
    val total: Long?,
)

/** How a launch has ended. */
public enum class Result { KEPT, INSTALLED, SYNC, FAILED }

/**
 * What has come of a launch.
 *
 * @property bytes That came over the network.
 * @property seconds That each stage took.
 * @property core The version of the SDK's core extension; null for a database that was kept.
 */
public data class Outcome(
    val result: Result,
    val reason: Reason?,
    val form: Form?,
    val encoding: Encoding?,
    val bytes: Long,
    val resumes: Int,
    val seconds: Map<Stage, Double>,
    val core: String?,
)

/**
 * Where the snapshot comes from, and what the app wants of it. Times are milliseconds, but for `maxAge`.
 *
 * @property url Where `seedbed serve` answers: `https://seedbed.example.com/database`.
 * @property storeId The store whose snapshot is wanted.
 * @property getToken The user's token, which must allow the store. Asked for before each question, and not at all when the
 *   database is kept.
 * @property endpoint The PowerSync service that the app connects to. A snapshot of another one is refused.
 * @property account Who uses the database. One of another account is refused.
 * @property generation The generation that the app needs.
 * @property maxAge Seconds since the snapshot was verified.
 * @property encryption Has an encrypted database begin with a sealed file. Rule 12 of CONTRACT.md.
 * @property prepare Makes the app's raw tables, before a compact file is finished. It runs in a transaction.
 * @property subscribe Subscribes to streams beyond the default ones, before a launch in the form `stream`.
 * @property silenceLimit Without a byte, after which a request is given up.
 * @property waitLimit To wait for a store that is being seeded, or a busy server.
 * @property timeLimit For all of it, if there is to be such a limit.
 * @property report Whether to send an anonymous report of a first launch.
 * @property onProgress Called on a thread of the launch.
 * @property onOutcome Called once, when the database is open or the launch has failed.
 */
public class SnapshotSource(
    public val url: String,
    public val storeId: String,
    public val form: Form = Form.FILE,
    public val whenUnavailable: WhenUnavailable = WhenUnavailable.SYNC,
    public val endpoint: String? = null,
    public val account: String? = null,
    public val generation: String? = null,
    public val maxAge: Long? = null,
    public val prepare: ((SQLiteConnection) -> Unit)? = null,
    public val subscribe: (suspend (PowerSyncDatabase) -> Unit)? = null,
    public val encryption: Encryption? = null,
    public val silenceLimit: Long = 30_000,
    public val waitLimit: Long = 120_000,
    public val timeLimit: Long? = null,
    public val report: Boolean = false,
    public val onProgress: ((Progress) -> Unit)? = null,
    public val onOutcome: ((Outcome) -> Unit)? = null,
    public val getToken: suspend () -> String,
)
