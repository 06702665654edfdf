package seedbed.client.snapshot

import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import seedbed.client.platform.Files
import java.io.FileOutputStream
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest
import java.util.zip.GZIPInputStream

/** Hexadecimal. */
internal suspend fun sha256(path: String): String {
    val digest = MessageDigest.getInstance("SHA-256")
    Files.open(path).use { file -> file.forEachPiece { piece, count -> digest.update(piece, 0, count) } }
    return digest.digest().joinToString("") { "%02x".format(it) }
}

/**
 * Unpacks gzip into a new file, and brings that to the disk.
 *
 * @param limit Bytes that it may have.
 */
internal suspend fun gunzip(
    from: String,
    to: String,
    limit: Long,
    onBytes: (Long) -> Unit,
) {
    var there = 0L
    GZIPInputStream(Files.open(from), PIECE).use { packed ->
        FileOutputStream(to).use { file ->
            packed.forEachPiece { piece, count ->
                there += count
                if (there > limit) throw IOException("it has more than $limit bytes")
                file.write(piece, 0, count)
                onBytes(there)
            }
            file.fd.sync()
        }
    }
}

/** Between two pieces the launch can be cancelled. */
private suspend inline fun InputStream.forEachPiece(work: (ByteArray, Int) -> Unit) {
    val buffer = ByteArray(PIECE)
    while (true) {
        currentCoroutineContext().ensureActive()
        val count = read(buffer)
        if (count < 0) return
        work(buffer, count)
    }
}

private const val PIECE = 64 * 1024
