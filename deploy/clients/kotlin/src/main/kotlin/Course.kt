package seedbed.client

import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.withTimeout

/** Pauses of `wait`: the first is a sixth of the silence limit, 5 seconds; the longest twice the limit, a minute. */
internal const val FIRST_PAUSE = 6
internal const val LONGEST_PAUSE = 2

/** Gives up after the app's own limit, if there is one. */
internal suspend fun <T> SnapshotSource.inTime(work: suspend () -> T): T {
    val limit = timeLimit ?: return work()
    return try {
        withTimeout(limit) { work() }
    } catch (error: TimeoutCancellationException) {
        throw SeedbedException(Reason.STALLED, "it took longer than $limit ms (timeout)", error)
    }
}

/** What an app and a report are told about a launch: the stage it is in, and what has come of it. */
internal class Course(
    private val onProgress: ((Progress) -> Unit)?,
) {
    var result = Result.KEPT
        private set
    var reason: Reason? = null
        private set
    var form: Form? = null
    var encoding: Encoding? = null
    var bytes = 0L
    var resumes = 0
    var core: String? = null
    private val seconds = mutableMapOf<Stage, Double>()
    private var stage: Stage? = null
    private var since = 0L

    val outcome get() = Outcome(result, reason, form, encoding, bytes, resumes, seconds.toMap(), core)

    /** A launch that has ended so. */
    fun end(
        result: Result,
        reason: Reason? = null,
    ) {
        this.result = result
        this.reason = reason
    }

    /** The next stage; null when the launch ends. */
    fun enter(
        next: Stage?,
        bytes: Long = 0,
        total: Long? = null,
    ) {
        val now = System.nanoTime()
        stage?.let { seconds[it] = (seconds[it] ?: 0.0) + (now - since) / 1e9 }
        stage = next
        since = now
        progress(bytes, total)
    }

    fun progress(
        bytes: Long,
        total: Long?,
    ) {
        stage?.let { onProgress?.invoke(Progress(it, bytes, total)) }
    }
}
