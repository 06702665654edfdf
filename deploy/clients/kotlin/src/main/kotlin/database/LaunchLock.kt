package seedbed.client.database

import androidx.sqlite.SQLiteConnection
import com.powersync.PersistentConnectionFactory
import kotlinx.coroutines.delay
import seedbed.client.platform.Files

/**
 * One launch at a time for a database, in all processes. Rule 3 of CONTRACT.md.
 *
 * The system frees it when a process dies, and leaves the empty file.
 *
 * @property core The version of the core extension, which the connection has anyway.
 */
internal class LaunchLock private constructor(
    private val path: String,
    private val connection: SQLiteConnection,
) {
    val core: String = (connection.query("SELECT powersync_rs_version()").first().first() as String).substringBefore('/')

    fun release() {
        // While it is held, so that nobody else's is removed.
        if (Files.closeFirst) {
            connection.close()
            runCatching { Files.remove(path) }
        } else {
            Files.remove(path)
            connection.close()
        }
    }

    companion object {
        /** Milliseconds between two tries. */
        private const val AGAIN = 50L

        /** Takes it, and waits for it. */
        suspend fun take(
            factory: PersistentConnectionFactory,
            path: String,
        ): LaunchLock {
            while (true) {
                tryToTake(factory, path)?.let { return it }
                delay(AGAIN)
            }
        }

        private fun tryToTake(
            factory: PersistentConnectionFactory,
            path: String,
        ): LaunchLock? {
            var held = begin(factory, path) ?: return null
            while (true) {
                // The one before may have removed the file that this connection has opened: then another file can be locked.
                val another = begin(factory, path) ?: return LaunchLock(path, held)
                held.close()
                held = another
            }
        }

        /** Null if another connection has it. */
        private fun begin(
            factory: PersistentConnectionFactory,
            path: String,
        ): SQLiteConnection? {
            val connection = factory.open(path)
            try {
                // Nothing is ever written: no file for a journal.
                connection.query("PRAGMA journal_mode = MEMORY")
                connection.query("BEGIN EXCLUSIVE")
                return connection
            } catch (error: Throwable) {
                connection.close()
                if (error.isBusy) return null
                throw error
            }
        }
    }
}
