package seedbed.client.platform

/** The files of a launch, beside the database. */
internal class Paths(
    val database: String,
) {
    val note = "$database.seedbed.json"
    val part = "$database.seedbed.part"
    val staged = "$database.seedbed.db"
    val probe = "$database.seedbed.probe"
    val lock = "$database.seedbed.lock"

    /** Whether there is anything of a launch: one that goes on, or one that was killed. */
    fun isUnderWay() = listOf(lock, note, part, staged, probe).any { Files.size(it) != null }

    /** Removes whatever launches have left, but for the lock. */
    fun removeLeftovers() {
        Files.remove(part)
        removeDatabase(staged)
        removeDatabase(probe)
        Files.remove("$note.new")
        Files.remove(note)
    }
}

/** Removes a database with SQLite's other files. */
internal fun removeDatabase(path: String) {
    Files.remove(path)
    removeCompanions(path)
}

/** Removes what SQLite would take for the database's own: a WAL or journal that another one has left. */
internal fun removeCompanions(path: String) {
    for (suffix in listOf("-wal", "-shm", "-journal")) Files.remove(path + suffix)
}
