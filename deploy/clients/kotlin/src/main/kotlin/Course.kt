package seedbed.client

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
