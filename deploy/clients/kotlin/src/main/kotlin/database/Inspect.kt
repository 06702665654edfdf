package seedbed.client.database

import androidx.sqlite.SQLiteConnection
import com.powersync.PersistentConnectionFactory
import seedbed.client.Reason
import seedbed.client.platform.Files
import seedbed.client.platform.Paths
import seedbed.client.platform.removeCompanions

/** Whether the database that is there may be replaced. Rules 1 and 2 of CONTRACT.md. */
internal class Inspection(
    /** Why it must not be. */
    val kept: Reason?,
    val record: Record?,
)

/** PowerSync's own, up to schema version 14 (`migrations.rs` of powersync-sqlite-core 0.5.4). */
private val INTERNAL =
    setOf(
        "ps_migration",
        "ps_untyped",
        "ps_crud",
        "ps_tx",
        "ps_kv",
        "ps_buckets",
        "ps_oplog",
        "ps_updated_rows",
        "ps_stream_subscriptions",
        "ps_sync_state",
    )

/** Looks at the database, if there is one. */
internal fun inspect(
    factory: PersistentConnectionFactory,
    database: String,
): Inspection {
    if (Files.size(database) == null) return Inspection(null, null)
    return try {
        factory.open(database).use(::inspect)
    } catch (error: Exception) {
        Inspection(if (error.isBusy) Reason.IN_USE else Reason.UNREADABLE, null)
    }
}

/**
 * Puts the staged file where the database is, unless that must be kept.
 *
 * @return Why it was kept; null if it was replaced.
 */
internal fun install(
    factory: PersistentConnectionFactory,
    paths: Paths,
): Reason? {
    if (Files.size(paths.database) == null) {
        removeCompanions(paths.database)
        return if (Files.place(paths.staged, paths.database)) null else Reason.IN_USE
    }
    try {
        val connection = factory.open(paths.database)
        try {
            replaceableUnderLock(connection)?.let { return it }
            if (Files.closeFirst) connection.close()
            removeCompanions(paths.database)
            Files.replace(paths.staged, paths.database)
        } finally {
            connection.close()
        }
        return null
    } catch (error: Exception) {
        if (error.isBusy) return Reason.IN_USE
        throw error
    }
}

/** Takes the lock that no other open connection holds along with it, and inspects. The lock stays until the connection is closed. */
private fun replaceableUnderLock(connection: SQLiteConnection): Reason? {
    // Refused while any other connection is open, idle ones included. It has to be set before anything is read.
    connection.query("PRAGMA locking_mode = EXCLUSIVE")
    connection.query("BEGIN EXCLUSIVE")
    val kept = inspect(connection).kept
    connection.query("ROLLBACK")
    // With a WAL, closing would remove a file by its name, and that name will be the new database's.
    if (kept == null) connection.query("PRAGMA journal_mode = DELETE")
    return kept
}

private fun inspect(connection: SQLiteConnection): Inspection {
    val tables = tablesOf(connection)
    val record = if ("ps_kv" in tables) Record.of(connection) else null
    return Inspection(keptFor(connection, tables), record)
}

private fun keptFor(
    connection: SQLiteConnection,
    tables: Set<String>,
): Reason? {
    fun has(
        table: String,
        where: String = "",
    ) = table in tables && connection.has(table, where)
    return when {
        has("ps_sync_state") || has("ps_kv", "WHERE key = 'last_synced_at'") -> Reason.SYNCED
        has("ps_crud") -> Reason.LOCAL_WRITES
        has("ps_untyped") || tables.any { it !in INTERNAL && has(it) } -> Reason.LOCAL_ROWS
        has("ps_oplog") && wasComplete(connection) -> Reason.CLEARED_SOFTLY
        else -> null
    }
}

/** Every table that holds rows of its own: neither SQLite's nor the shadow of a virtual one, whose rows are not the user's. */
private fun tablesOf(connection: SQLiteConnection): Set<String> =
    connection
        .query(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') " +
                "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        ).mapTo(mutableSetOf()) { it.first() as String }

private fun SQLiteConnection.has(
    table: String,
    where: String = "",
): Boolean = number("SELECT EXISTS (SELECT 1 FROM \"${table.replace("\"", "\"\"")}\" $where)") == 1L

/**
 * Whether a bucket had once all of a checkpoint: then its operations were kept on purpose (`powersync_clear` with the flag
 * for a soft clear leaves `count_at_last`, which `sync_local` has set; a first download that broke off has 0).
 */
private fun wasComplete(connection: SQLiteConnection): Boolean {
    val columns = connection.query("SELECT name FROM pragma_table_info('ps_buckets')")
    return listOf("count_at_last") !in columns || connection.has("ps_buckets", "WHERE count_at_last > 0")
}
