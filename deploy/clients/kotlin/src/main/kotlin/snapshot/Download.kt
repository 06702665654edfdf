package seedbed.client.snapshot

import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.delay
import kotlinx.coroutines.ensureActive
import seedbed.client.Reason
import seedbed.client.SeedbedException
import seedbed.client.asSeedbedException
import seedbed.client.platform.Answer
import seedbed.client.platform.Exchange
import seedbed.client.platform.Files
import seedbed.client.platform.Http
import seedbed.client.platform.Request

/**
 * Brings all bytes of a rendition into the part, over as many requests as it takes. Rule 6 of CONTRACT.md.
 *
 * @property content The bytes, from the first on, if they come with the answer.
 * @property renew A new URL of the same rendition; throws if there is another one now.
 * @property onEtag The bytes have this strong ETag.
 * @property onBytes How many are there now.
 */
internal class Download(
    private val http: Http,
    private val part: String,
    private val bytes: Long,
    private var databaseUrl: String,
    private var content: Exchange?,
    private var etag: String?,
    private val silenceLimit: Long,
    private val renew: suspend () -> String,
    private val onEtag: (String) -> Unit,
    private val onBytes: (Long) -> Unit,
) {
    /** That came over the network. */
    var received = 0L
        private set
    var resumes = 0
        private set

    /** @throws SeedbedException `stalled`, `cut`, `expired`, `server_error`, `corrupt`, `disk_full`. */
    suspend fun run() {
        var size = Files.size(part) ?: 0
        // The most there ever was: a server without ranges starts anew each time, and that is no progress.
        var most = size
        var fruitless = 0
        var refused = 0
        var first = size == 0L
        if (!first) takeContent()?.end()
        while (size < bytes) {
            currentCoroutineContext().ensureActive()
            if (!first) resumes++
            first = false
            val end = request(size)
            size = Files.size(part) ?: 0
            if (end.error?.reason?.lasts == true) throw end.error
            if (size > most) {
                most = size
                fruitless = 0
                refused = 0
            } else if (end.refused) {
                if (++refused == REFUSED) throw SeedbedException(Reason.EXPIRED, "the URL of the snapshot is refused again and again")
                databaseUrl = renew()
            } else {
                if (++fruitless == FRUITLESS) {
                    throw end.error ?: SeedbedException(Reason.CUT, "the snapshot ended after $size of $bytes bytes")
                }
                delay(end.error?.retryAfter ?: (silenceLimit / PAUSES shl (fruitless - 1)))
            }
        }
    }

    /**
     * What has become of a request.
     *
     * @property refused The URL is refused: it has expired.
     * @property error Why it ended early.
     */
    private class End(
        val refused: Boolean = false,
        val error: SeedbedException? = null,
    )

    /** @param size Bytes that are there. */
    private suspend fun request(size: Long): End {
        val exchange = takeContent() ?: Exchange(http, Request(databaseUrl, headers(size), silenceLimit = silenceLimit.toInt()))
        try {
            val answer = exchange.head()
            if (answer.status in REFUSALS) return End(refused = true)
            val offset = offsetOf(answer, size)
            answer.header("etag")?.takeIf { it.startsWith('"') && it != etag }?.let {
                // Written before the bytes, so that it is there when they are.
                onEtag(it)
                etag = it
            }
            store(exchange, offset)
            return End()
        } catch (error: Exception) {
            val known = error.asSeedbedException(Reason.CUT, "the download broke off")
            // Nothing that comes next would be right.
            if (known.reason == Reason.CORRUPT || known.reason == Reason.DISK_FULL) throw known
            return End(error = known)
        } finally {
            exchange.end()
        }
    }

    private fun takeContent() = content.also { content = null }

    private fun headers(size: Long): Map<String, String> =
        buildMap {
            // The URL is its own authorization: a token in addition to the signature makes S3 refuse it.
            put("accept-encoding", "identity")
            if (size > 0) {
                put("range", "bytes=$size-")
                etag?.let { put("if-range", it) }
            }
        }

    /** Where the bytes of the answer begin. */
    private fun offsetOf(
        answer: Answer,
        size: Long,
    ): Long {
        if (answer.status == 200) return 0
        val range = CONTENT_RANGE.find(answer.header("content-range").orEmpty())?.destructured
        val (start, total) = range?.let { (start, total) -> start to total } ?: ("" to "")
        if (answer.status == 206 && start == "$size" && total in setOf("*", "$bytes")) return size
        // Another object than the one that was promised, shorter or longer.
        val another = answer.status == 206 || answer.status == 416
        throw SeedbedException(
            if (another) Reason.CORRUPT else Reason.SERVER_ERROR,
            "the snapshot cannot be downloaded: ${answer.status}",
            retryAfter = retryAfter(answer),
        )
    }

    private suspend fun store(
        exchange: Exchange,
        offset: Long,
    ) {
        var there = offset
        Files.append(part, offset).use { file ->
            while (true) {
                val chunk = exchange.next() ?: break
                there += chunk.size
                if (there > bytes) throw SeedbedException(Reason.CORRUPT, "the snapshot has more than its $bytes bytes")
                received += chunk.size
                file.write(chunk)
                onBytes(there)
            }
        }
    }

    private companion object {
        /** Requests in a row that bring nothing new. */
        const val FRUITLESS = 4

        /** The first pause after such a request is this part of the silence limit. */
        const val PAUSES = 30

        /** URLs in a row that are refused. */
        const val REFUSED = 3

        /** The statuses that say that a URL has expired. */
        val REFUSALS = setOf(401, 403, 404, 410)

        val CONTENT_RANGE = Regex("""^bytes (\d+)-\d*/(\d+|\*)""")
    }
}
