package seedbed.client.snapshot

import kotlinx.coroutines.delay
import seedbed.client.Course
import seedbed.client.Encoding
import seedbed.client.Form
import seedbed.client.Reason
import seedbed.client.SeedbedException
import seedbed.client.SnapshotSource
import seedbed.client.Stage
import seedbed.client.asSeedbedException
import seedbed.client.database.FINISH
import seedbed.client.database.FinishVersion
import seedbed.client.database.Record
import seedbed.client.platform.Files
import seedbed.client.platform.Http
import seedbed.client.platform.Paths
import seedbed.client.platform.removeDatabase

/**
 * @property rendition What the staged file is.
 * @property key Of a sealed one.
 */
internal class Staged(
    val rendition: Rendition,
    val key: String?,
)

/** From a question to a whole staged file: WAITING, DOWNLOADING and UNPACKING. Rules 4 to 7 of CONTRACT.md. One attempt. */
internal class Staging(
    private val http: Http,
    private val paths: Paths,
    private val source: SnapshotSource,
    private val course: Course,
    private val record: Record,
    private val note: Note,
) {
    private var encodings = source.encryption?.let { listOf(it.format.encoding) } ?: listOf(Encoding.GZIP, Encoding.IDENTITY)

    /** Whether the snapshot may come with the answer: the first time, since what has broken off goes on from a URL. */
    private var inline = true

    /** While one snapshot was downloaded, a newer one has taken its place. */
    private var replaced = false

    /**
     * Does what an earlier launch has not done.
     */
    suspend fun run(): Staged {
        var tries = 0
        while (true) {
            val snapshot = askPatiently()
            val rendition = snapshot.rendition
            if (!note.isOf(rendition, record)) {
                // Of another snapshot, or nothing that could be read.
                paths.removeLeftovers()
                note.start(rendition, record)
            } else if (note.staged) {
                snapshot.content?.end()
                return Staged(rendition, snapshot.key)
            }
            val resumed = (Files.size(paths.part) ?: 0) > 0
            try {
                replaced = false
                download(snapshot)
                unpack(rendition)
                return Staged(rendition, snapshot.key)
            } catch (error: Exception) {
                snapshot.content?.end()
                val known = error.asSeedbedException(Reason.CUT, "the download failed")
                if (!mayTryAgain(known.reason, rendition, resumed) || ++tries == TRIES) throw known
            }
        }
    }

    /** What a failure means for the next try, and whether there is one. */
    private fun mayTryAgain(
        reason: Reason,
        rendition: Rendition,
        resumed: Boolean,
    ): Boolean {
        if (reason == Reason.CORRUPT) {
            paths.removeLeftovers()
            note.forget()
        }
        // A machine that lost its power may have kept the size of a file and not its bytes.
        val damaged = reason in setOf(Reason.CORRUPT, Reason.CUT) && rendition.isPacked
        // Libraries and proxies unpack what is called gzip, some in the middle of a range: the plain file has no such name.
        if (damaged && !resumed) encodings = listOf(Encoding.IDENTITY)
        return replaced || damaged || (reason == Reason.CORRUPT && resumed)
    }

    /** WAITING: leaves what was there. */
    private suspend fun askPatiently(): Snapshot {
        course.enter(Stage.WAITING)
        val deadline = System.nanoTime() / NANOS + source.waitLimit
        while (true) {
            try {
                return ask()
            } catch (error: SeedbedException) {
                val wait = error.retryAfter
                if (wait == null || System.nanoTime() / NANOS + wait > deadline) throw error
                delay(wait)
            }
        }
    }

    private suspend fun ask(): Snapshot {
        val core = course.core.orEmpty()
        // With another core extension, finishing is not tested.
        val compact = source.form == Form.COMPACT && core in FinishVersion.of(FINISH).coreVersions
        return ask(http, Wanted(source, if (compact) Form.COMPACT else Form.FILE, encodings, core, FINISH, inline))
    }

    /** DOWNLOADING: leaves the note, and a part that ends anywhere. */
    private suspend fun download(snapshot: Snapshot) {
        inline = false
        val rendition = snapshot.rendition
        val there = Files.size(paths.part) ?: 0
        needDisk(rendition, rendition.bytes - there)
        course.enter(Stage.DOWNLOADING, there, rendition.bytes)
        val download =
            Download(
                http,
                paths.part,
                rendition.bytes,
                snapshot.databaseUrl,
                snapshot.content,
                note.etag,
                source.silenceLimit,
                renew = ::renew,
                onEtag = note::setEtag,
                onBytes = { course.progress(it, rendition.bytes) },
            )
        try {
            download.run()
        } finally {
            course.bytes += download.received
            course.resumes += download.resumes
        }
    }

    private suspend fun renew(): String {
        val renewed = ask()
        if (note.isOf(renewed.rendition, record)) return renewed.databaseUrl
        replaced = true
        throw SeedbedException(Reason.EXPIRED, "there is another snapshot now")
    }

    /** UNPACKING: leaves the part, and perhaps a staged file that is not whole. */
    private suspend fun unpack(rendition: Rendition) {
        if (sha256(paths.part) != rendition.sha256) {
            throw SeedbedException(Reason.CORRUPT, "the snapshot was altered on the way: its sha256 differs")
        }
        removeDatabase(paths.staged)
        if (!rendition.isPacked) {
            Files.sync(paths.part)
            // Before the rename: a process that is killed in between has a part, which is checked and renamed again.
            note.setStaged()
            Files.replace(paths.part, paths.staged)
            return
        }
        val total = rendition.unpackedBytes
        course.enter(Stage.UNPACKING, 0, total)
        try {
            gunzip(paths.part, paths.staged, total ?: (MOST_PACKED * rendition.bytes)) { course.progress(it, total) }
        } catch (error: Exception) {
            throw error.asSeedbedException(Reason.CORRUPT, "the snapshot cannot be unpacked")
        }
        val right =
            (total == null || Files.size(paths.staged) == total) &&
                (rendition.unpackedSha256 == null || sha256(paths.staged) == rendition.unpackedSha256)
        if (!right) throw SeedbedException(Reason.CORRUPT, "the unpacked snapshot is not what the answer says")
        note.setStaged()
        Files.remove(paths.part)
    }

    /** @param left Bytes to download. */
    private fun needDisk(
        rendition: Rendition,
        left: Long,
    ) {
        val packed = rendition.isPacked
        val unpacked = rendition.unpackedBytes ?: if (packed) 4 * rendition.bytes else rendition.bytes
        // While a sealed file gets another key, its journal has the pages of before.
        val twice = rendition.form == Form.COMPACT || source.encryption != null
        val needed = left + (if (packed) unpacked else 0) + (if (twice) unpacked else 0)
        val free = Files.free(paths.database) ?: return
        if (free < needed) throw SeedbedException(Reason.DISK_FULL, "the snapshot needs $needed bytes of disk, and $free are free")
    }

    private companion object {
        /** Downloads from the start, before a launch goes without. */
        const val TRIES = 3

        /** How many times its bytes a file may unpack to, if the answer does not say. */
        const val MOST_PACKED = 100

        /** In a millisecond. */
        const val NANOS = 1_000_000
    }
}
