package seedbed.client.database

import com.powersync.PersistentConnectionFactory
import seedbed.client.PlainFactoryException
import seedbed.client.platform.Files
import seedbed.client.platform.removeDatabase

/**
 * Whether the app's databases are encrypted: a word that is written to one is not in its file. No type of a factory, and no
 * header of a file, says so for every way to encrypt. Rule 12 of CONTRACT.md.
 *
 * @param path Of a file that is made for this, and removed.
 */
internal fun isEncrypted(
    factory: PersistentConnectionFactory,
    path: String,
): Boolean {
    removeDatabase(path)
    try {
        factory.open(path).use { connection ->
            connection.query("PRAGMA journal_mode = DELETE")
            connection.query("CREATE TABLE probe (word)")
            connection.query("INSERT INTO probe VALUES (?)", WORD)
        }
        val content = Files.open(path).use { it.readBytes() }
        return WORD !in content.toString(Charsets.ISO_8859_1)
    } finally {
        removeDatabase(path)
    }
}

/**
 * Refuses a factory whose library encrypts nothing, whatever its key is: that is a setting which it does not know.
 *
 * @throws PlainFactoryException
 */
internal fun requireCipher(factory: PersistentConnectionFactory) {
    // Either is answered by one of SQLite3MultipleCiphers and SQLCipher alone.
    val answers = factory.openInMemoryConnection().use { it.query("PRAGMA cipher") + it.query("PRAGMA cipher_version") }
    if (answers.isEmpty()) throw PlainFactoryException()
}

private const val WORD = "seedbed-probe-in-plain-text"
