package seedbed.client.database

import androidx.sqlite.SQLiteConnection
import com.powersync.PersistentConnectionFactory
import seedbed.client.Form
import seedbed.client.Reason
import seedbed.client.SeedbedException
import seedbed.client.asSeedbedException

/**
 * Makes a database of a staged file, in one transaction. Rule 8 of CONTRACT.md.
 *
 * A process that is killed leaves it finished or as it was: SQLite's journal decides when it is opened again.
 *
 * @property sealed Opens it, if it is a sealed one.
 * @property schema The app's, as JSON.
 * @property prepare Makes the app's raw tables.
 */
internal class Finish(
    private val factory: PersistentConnectionFactory,
    private val sealed: Sealed?,
    private val form: Form,
    private val version: Long?,
    private val record: Record,
    private val schema: String,
    private val prepare: ((SQLiteConnection) -> Unit)?,
) {
    /**
     * Finishes the staged file, unless it is.
     *
     * @param key Of a sealed file: 32 bytes in hex.
     * @throws SeedbedException `newer_core`, `not_openable`, `disk_full`.
     */
    fun run(
        staged: String,
        key: String?,
    ) {
        try {
            if (sealed != null) sealed.unseal(staged, checkNotNull(key), ::finish) else factory.open(staged).use(::finish)
        } catch (error: Exception) {
            throw error.asSeedbedException(Reason.NOT_OPENABLE, "the snapshot cannot be finished")
        }
    }

    private fun finish(connection: SQLiteConnection) {
        // One file, so that the rename takes all of it.
        connection.query("PRAGMA journal_mode = DELETE")
        connection.query("BEGIN IMMEDIATE")
        // An error needs no ROLLBACK: closing is one.
        migrate(connection)
        if (connection.query("SELECT 1 FROM ps_kv WHERE key = ?", RECORD_KEY).isEmpty()) complete(connection)
        connection.query("COMMIT")
    }

    /** Migrates up; or down, by what the newer core has left for that, and then refuses the file. */
    private fun migrate(connection: SQLiteConnection) {
        val before = schemaVersion(connection)
        val after =
            try {
                connection.query("SELECT powersync_init()")
                schemaVersion(connection)
            } catch (error: Exception) {
                if (!"${error.message}".contains("down migration", ignoreCase = true)) throw error
                // There is no way down.
                0
            }
        if (after < before) throw SeedbedException(Reason.NEWER_CORE, "the snapshot has schema $before, which is newer than the SDK's")
    }

    private fun schemaVersion(connection: SQLiteConnection) = connection.number("SELECT max(id) FROM ps_migration") ?: 0

    private fun complete(connection: SQLiteConnection) {
        connection.query("DELETE FROM ps_kv WHERE key LIKE '%\\_checkpoint\\_request\\_id' ESCAPE '\\'")
        // Two clients must never share one: the service tells them apart by it.
        connection.query("INSERT OR REPLACE INTO ps_kv (key, value) VALUES ('client_id', uuid())")
        if (form == Form.COMPACT) {
            prepare?.invoke(connection)
            connection.query("SELECT powersync_replace_schema(?)", schema)
            for (step in FinishVersion.of(checkNotNull(version)).steps) run(connection, step)
        }
        check(connection.number("SELECT EXISTS (SELECT 1 FROM ps_sync_state)") == 1L) { "the core extension does not accept its checkpoint" }
        check(connection.number("SELECT EXISTS (SELECT 1 FROM ps_crud)") == 0L) { "it has local writes" }
        connection.query(INSERT_RECORD, RECORD_KEY, record.toJson().toString())
    }

    private fun run(
        connection: SQLiteConnection,
        step: FinishStep,
    ) {
        step.ofCore?.let { question -> askCore(question).forEach { connection.query(it) } }
        val rows = if (step.takesSchema) connection.query(step.sql ?: return, schema) else connection.query(step.sql ?: return)
        val returned = rows.firstOrNull()?.first()
        check(step.returns == null || returned == step.returns) { "the step ${step.name} returned $returned in place of ${step.returns}" }
    }

    /** What this core extension would make itself. */
    private fun askCore(question: String): List<String> =
        factory.openInMemoryConnection().use { fresh ->
            fresh.query("BEGIN")
            fresh.query("SELECT powersync_init()")
            fresh.query(question).map { it.first() as String }
        }
}
