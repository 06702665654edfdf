package seedbed.client.database

import androidx.sqlite.SQLiteConnection
import com.powersync.PersistentConnectionFactory
import seedbed.client.Cipher
import seedbed.client.Encryption
import seedbed.client.platform.Files

/**
 * Makes an encrypted database of a sealed file: it is opened once with the file's key, and gets the app's own. Rule 12 of CONTRACT.md.
 *
 * @property factory The app's, whose databases have its key.
 */
internal class Sealed(
    private val factory: PersistentConnectionFactory,
    private val encryption: Encryption,
) {
    /**
     * A process that is killed leaves a file that one of the two keys opens, perhaps with a journal, which is of the file's key.
     *
     * @param key The file's: 32 bytes in hex.
     * @param work What is done before it gets the app's key.
     */
    fun unseal(
        staged: String,
        key: String,
        work: (SQLiteConnection) -> Unit,
    ) {
        // Whoever opens it plays the journal back, and needs the key for that.
        val interrupted = Files.size("$staged-journal") != null
        if (!interrupted && isOpenedByApp(staged)) return
        open(staged, key).use { connection ->
            // What does not fit into memory when it is sorted would be written without encryption.
            connection.query("PRAGMA temp_store = MEMORY")
            work(connection)
            connection.query("PRAGMA rekey = ${quoted(encryption.key)}")
        }
        check(isOpenedByApp(staged)) { "the factory does not open what was encrypted with the key of `encryption`" }
    }

    /** Whether it has the app's key already: that comes last. */
    private fun isOpenedByApp(path: String): Boolean =
        try {
            factory.open(path).use { it.query("SELECT count(*) FROM sqlite_master") }
            true
        } catch (_: Exception) {
            false
        }

    /** By the factory, so that it is the app's library, with another key in place of the app's: nothing has been read so far. */
    private fun open(
        path: String,
        key: String,
    ): SQLiteConnection {
        val connection = factory.open(path)
        try {
            for (statement in keyed(key)) connection.query(statement)
        } catch (error: Throwable) {
            connection.close()
            throw error
        }
        return connection
    }

    /** SQLCipher has no other format, and ignores what chooses one. */
    private fun keyed(key: String): List<String> =
        when (encryption.format) {
            Cipher.CHACHA20 -> listOf("PRAGMA cipher = 'chacha20'", "PRAGMA key = 'raw:$key'")
            Cipher.SQLCIPHER4 -> listOf("PRAGMA cipher = 'sqlcipher'", "PRAGMA legacy = 4", "PRAGMA key = \"x'$key'\"")
        }
}

private fun quoted(text: String) = "'${text.replace("'", "''")}'"
