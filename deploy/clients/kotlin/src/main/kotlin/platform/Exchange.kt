package seedbed.client.platform

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.trySendBlocking
import kotlinx.coroutines.withTimeoutOrNull
import seedbed.client.Reason
import seedbed.client.SeedbedException
import java.net.SocketTimeoutException
import kotlin.concurrent.thread

/**
 * A request on a thread of its own, which reads ahead. Who waits for it can be cancelled at once, which a read from a socket
 * cannot; and when a connection is lost, what has arrived is not lost with it.
 */
internal class Exchange(
    http: Http,
    private val request: Request,
) {
    private val answer = CompletableDeferred<Answer>()
    private val chunks = Channel<ByteArray>(AHEAD)

    /** What was taken and not wanted. */
    private var back: ByteArray? = null

    init {
        thread(isDaemon = true, name = "seedbed") { run(http) }
    }

    /** The status and headers. */
    suspend fun head(): Answer = unlessSilent { answer.await() }

    /** The next piece of the body; null at its end. */
    suspend fun next(): ByteArray? {
        back?.let {
            back = null
            return it
        }
        val chunk = unlessSilent { chunks.receiveCatching().also { ended -> ended.exceptionOrNull()?.let { throw it } } }
        return chunk.getOrNull()
    }

    /** All of the body, up to [limit] bytes. */
    suspend fun text(limit: Int): String {
        var all = ByteArray(0)
        while (all.size < limit) all += next() ?: break
        return all.decodeToString()
    }

    /** The body up to the first line break, or up to [limit] bytes; [next] gives what follows it. */
    suspend fun line(limit: Int): String {
        var all = ByteArray(0)
        while (all.size < limit && LINE_BREAK !in all) all += next() ?: break
        val end = all.indexOf(LINE_BREAK).takeIf { it >= 0 } ?: return all.decodeToString()
        back = all.copyOfRange(end + 1, all.size).takeIf { it.isNotEmpty() }
        return all.decodeToString(0, end)
    }

    /** Nothing more is wanted. */
    fun end() {
        answer.cancel()
        chunks.cancel()
    }

    private fun run(http: Http) {
        try {
            http.send(request).use {
                if (answer.complete(it)) read(it)
            }
            chunks.close()
        } catch (error: Throwable) {
            answer.completeExceptionally(error)
            chunks.close(error)
        }
    }

    private fun read(answer: Answer) {
        val buffer = ByteArray(PIECE)
        while (true) {
            val count = answer.body.read(buffer)
            if (count < 0 || chunks.trySendBlocking(buffer.copyOf(count)).isFailure) return
        }
    }

    private suspend fun <T : Any> unlessSilent(wait: suspend () -> T): T {
        val limit = request.silenceLimit.toLong()
        val silent = { SeedbedException(Reason.STALLED, "nothing came for ${limit / 1000.0} s (timeout)") }
        return try {
            withTimeoutOrNull(limit) { wait() } ?: throw silent()
        } catch (_: SocketTimeoutException) {
            throw silent()
        }
    }

    private companion object {
        /** Pieces that are read ahead: half a MiB. */
        const val AHEAD = 32
        const val PIECE = 16 * 1024
        const val LINE_BREAK = '\n'.code.toByte()
    }
}
