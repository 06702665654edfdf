package seedbed.conformance

import androidx.sqlite.SQLITE_DATA_NULL
import androidx.sqlite.SQLiteConnection
import androidx.sqlite.SQLiteStatement
import androidx.sqlite.execSQL
import androidx.sqlite.throwSQLiteException
import com.powersync.ExperimentalPowerSyncAPI
import com.powersync.PersistentConnectionFactory
import com.powersync.resolvePowerSyncLoadableExtensionPath
import com.sun.jna.Library
import com.sun.jna.Native
import com.sun.jna.Pointer
import com.sun.jna.ptr.PointerByReference

/**
 * What `JavaEncryptedDatabaseFactory` of com.powersync:sqlite3multipleciphers does: the real library, PowerSync's core extension, and
 * the key as the first statement. That artifact itself is not served to this machine; its bindings to the library are written anew
 * here.
 *
 * @param format What the SDK's own cannot choose: `sqlcipher4` in place of the library's `chacha20`.
 */
internal class CipherFactory(
    private val key: String,
    private val format: String,
) : PersistentConnectionFactory {
    override fun resolveDefaultDatabasePath(dbFilename: String) = dbFilename

    override fun openInMemoryConnection(): SQLiteConnection = open(":memory:", READWRITE)

    override fun openConnection(
        path: String,
        openFlags: Int,
    ): SQLiteConnection {
        val connection = open(path, openFlags)
        val chosen = if (format == "sqlcipher4") listOf("PRAGMA cipher = 'sqlcipher'", "PRAGMA legacy = 4") else emptyList()
        for (pragma in chosen + "PRAGMA key = '${key.replace("'", "''")}'") connection.execSQL(pragma)
        return connection
    }

    @OptIn(ExperimentalPowerSyncAPI::class)
    private fun open(
        path: String,
        flags: Int,
    ): SQLiteConnection {
        val opened = PointerByReference()
        val code = sqlite.sqlite3_open_v2(path, opened, flags, null)
        val connection = Connection(opened.value)
        try {
            connection.check(code)
            connection.check(sqlite.sqlite3_extended_result_codes(opened.value, 1))
            connection.check(sqlite.sqlite3_enable_load_extension(opened.value, 1))
            val extension = checkNotNull(resolvePowerSyncLoadableExtensionPath())
            connection.check(sqlite.sqlite3_load_extension(opened.value, extension, "sqlite3_powersync_init", null))
            return connection
        } catch (error: Throwable) {
            connection.close()
            throw error
        }
    }
}

/** SQLite's C interface, as far as it is used. */
@Suppress("FunctionName")
private interface Sqlite : Library {
    fun sqlite3_open_v2(path: String, db: PointerByReference, flags: Int, vfs: String?): Int

    fun sqlite3_extended_result_codes(db: Pointer, on: Int): Int

    fun sqlite3_enable_load_extension(db: Pointer, on: Int): Int

    fun sqlite3_load_extension(db: Pointer, file: String, entry: String, message: Pointer?): Int

    fun sqlite3_close_v2(db: Pointer): Int

    fun sqlite3_errmsg(db: Pointer): String

    fun sqlite3_get_autocommit(db: Pointer): Int

    fun sqlite3_prepare_v2(db: Pointer, sql: ByteArray, bytes: Int, statement: PointerByReference, rest: Pointer?): Int

    fun sqlite3_finalize(statement: Pointer): Int

    fun sqlite3_step(statement: Pointer): Int

    fun sqlite3_reset(statement: Pointer): Int

    fun sqlite3_clear_bindings(statement: Pointer): Int

    fun sqlite3_bind_blob(statement: Pointer, index: Int, value: ByteArray, bytes: Int, destructor: Pointer): Int

    fun sqlite3_bind_text(statement: Pointer, index: Int, value: ByteArray, bytes: Int, destructor: Pointer): Int

    fun sqlite3_bind_double(statement: Pointer, index: Int, value: Double): Int

    fun sqlite3_bind_int64(statement: Pointer, index: Int, value: Long): Int

    fun sqlite3_bind_null(statement: Pointer, index: Int): Int

    fun sqlite3_column_blob(statement: Pointer, index: Int): Pointer?

    fun sqlite3_column_text(statement: Pointer, index: Int): Pointer?

    fun sqlite3_column_bytes(statement: Pointer, index: Int): Int

    fun sqlite3_column_double(statement: Pointer, index: Int): Double

    fun sqlite3_column_int64(statement: Pointer, index: Int): Long

    fun sqlite3_column_type(statement: Pointer, index: Int): Int

    fun sqlite3_column_count(statement: Pointer): Int

    fun sqlite3_column_name(statement: Pointer, index: Int): String
}

/** The library that build.sh has made. */
private val sqlite by lazy {
    val options = mapOf(Library.OPTION_STRING_ENCODING to "UTF-8")
    Native.load(System.getProperty("seedbed.sqlite3mc"), Sqlite::class.java, options)
}

private class Connection(
    private var db: Pointer?,
) : SQLiteConnection {
    private val open get() = db ?: throwSQLiteException(MISUSE, "connection is closed")

    override fun inTransaction() = sqlite.sqlite3_get_autocommit(open) == 0

    override fun prepare(sql: String): SQLiteStatement {
        val prepared = PointerByReference()
        val text = sql.toByteArray()
        check(sqlite.sqlite3_prepare_v2(open, text, text.size, prepared, null))
        return Statement(this, prepared.value)
    }

    override fun close() {
        db?.let(sqlite::sqlite3_close_v2)
        db = null
    }

    fun check(code: Int) {
        if (code != OK) fail(code)
    }

    fun fail(code: Int): Nothing = throwSQLiteException(code, sqlite.sqlite3_errmsg(open))
}

private class Statement(
    private val connection: Connection,
    private var prepared: Pointer?,
) : SQLiteStatement {
    private val open get() = prepared ?: throwSQLiteException(MISUSE, "statement is closed")

    override fun step(): Boolean =
        when (val code = sqlite.sqlite3_step(open)) {
            ROW -> true
            DONE -> false
            else -> connection.fail(code)
        }

    override fun reset() = connection.check(sqlite.sqlite3_reset(open))

    override fun clearBindings() = connection.check(sqlite.sqlite3_clear_bindings(open))

    override fun close() {
        prepared?.let(sqlite::sqlite3_finalize)
        prepared = null
    }

    override fun bindBlob(index: Int, value: ByteArray) =
        connection.check(sqlite.sqlite3_bind_blob(open, index, value, value.size, TRANSIENT))

    override fun bindText(index: Int, value: String) {
        val text = value.toByteArray()
        connection.check(sqlite.sqlite3_bind_text(open, index, text, text.size, TRANSIENT))
    }

    override fun bindDouble(index: Int, value: Double) = connection.check(sqlite.sqlite3_bind_double(open, index, value))

    override fun bindLong(index: Int, value: Long) = connection.check(sqlite.sqlite3_bind_int64(open, index, value))

    override fun bindNull(index: Int) = connection.check(sqlite.sqlite3_bind_null(open, index))

    override fun getBlob(index: Int) = bytes(sqlite.sqlite3_column_blob(open, index), index)

    override fun getText(index: Int) = String(bytes(sqlite.sqlite3_column_text(open, index), index))

    override fun getDouble(index: Int) = sqlite.sqlite3_column_double(open, index)

    override fun getLong(index: Int) = sqlite.sqlite3_column_int64(open, index)

    override fun isNull(index: Int) = getColumnType(index) == SQLITE_DATA_NULL

    override fun getColumnCount() = sqlite.sqlite3_column_count(open)

    override fun getColumnName(index: Int) = sqlite.sqlite3_column_name(open, index)

    override fun getColumnType(index: Int) = sqlite.sqlite3_column_type(open, index)

    private fun bytes(
        value: Pointer?,
        index: Int,
    ) = value?.getByteArray(0, sqlite.sqlite3_column_bytes(open, index)) ?: ByteArray(0)
}

/** Codes and flags of `sqlite3.h`. */
private const val OK = 0
private const val MISUSE = 21
private const val ROW = 100
private const val DONE = 101
private const val READWRITE = 0x02

/** `SQLITE_TRANSIENT`: SQLite makes a copy. */
private val TRANSIENT = Pointer(-1)
