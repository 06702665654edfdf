package seedbed.client.database

import androidx.sqlite.SQLITE_DATA_INTEGER
import androidx.sqlite.SQLITE_DATA_NULL
import androidx.sqlite.SQLiteConnection
import androidx.sqlite.SQLiteStatement
import com.powersync.PersistentConnectionFactory

/** The rows, each as a list of texts, integers and nulls: what is asked for here has nothing else. */
internal fun SQLiteConnection.query(
    sql: String,
    vararg parameters: String,
): List<List<Any?>> =
    prepare(sql).use { statement ->
        parameters.forEachIndexed { index, parameter -> statement.bindText(index + 1, parameter) }
        buildList { while (statement.step()) add(List(statement.getColumnCount(), statement::value)) }
    }

/** The number in the first column of the first row; null if there is none. */
internal fun SQLiteConnection.number(sql: String): Long? = query(sql).firstOrNull()?.first() as? Long

private fun SQLiteStatement.value(index: Int): Any? =
    when (getColumnType(index)) {
        SQLITE_DATA_NULL -> null
        SQLITE_DATA_INTEGER -> getLong(index)
        else -> getText(index)
    }

/**
 * Opens or creates a database as the SDK does: by the same library, so that they see each other's locks, with the core
 * extension, and with the app's key. It waits for no lock.
 */
internal fun PersistentConnectionFactory.open(path: String): SQLiteConnection {
    val connection = openConnection(path, READWRITE_OR_CREATE)
    try {
        connection.query("PRAGMA busy_timeout = 0")
    } catch (error: Throwable) {
        connection.close()
        throw error
    }
    return connection
}

/** Whether another connection is in the way. */
internal val Throwable.isBusy get() = BUSY.containsMatchIn("$message")

private val BUSY = Regex("database is locked|SQLITE_BUSY|database table is locked", RegexOption.IGNORE_CASE)

/** `SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE`. */
private const val READWRITE_OR_CREATE = 0x02 or 0x04
