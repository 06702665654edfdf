package seedbed.client

import java.io.IOException
import kotlin.coroutines.cancellation.CancellationException

/**
 * Why a launch does not use a snapshot: fixed words, for apps, logs and reports.
 *
 * @property lasts Whether asking again changes nothing until a person, or another version of the app, does.
 */
public enum class Reason(
    public val lasts: Boolean = false,
) {
    // Why the database that is there is used as it is.
    SYNCED,
    LOCAL_WRITES,
    LOCAL_ROWS,
    CLEARED_SOFTLY,
    UNREADABLE,
    IN_USE,

    // Why no snapshot was installed.
    OFFLINE,
    NO_TOKEN,
    UNAUTHORIZED(lasts = true),
    WRONG_STORE(lasts = true),
    DOWNLOADS_DISABLED(lasts = true),
    NO_SNAPSHOT,
    TOO_OLD,
    BUSY,
    BEING_SEEDED,
    SERVER_ERROR,
    BAD_ANSWER(lasts = true),
    WRONG_SERVICE(lasts = true),
    WRONG_GENERATION(lasts = true),
    NEWER_CORE(lasts = true),
    UNKNOWN_FINISH(lasts = true),
    ENCRYPTED(lasts = true),
    DISK_FULL,
    STALLED,
    CUT,
    EXPIRED,
    CORRUPT,
    NOT_OPENABLE(lasts = true),
    CANCELLED(lasts = true),
    ;

    /** As in logs, reports and the other packages: `no_snapshot`. */
    public val code: String = name.lowercase()
}

/**
 * A first launch without a snapshot. The message is for logs, and has neither a token nor a signed URL in it.
 *
 * @property retryAfter Milliseconds, if the server says so.
 */
public class SeedbedException(
    public val reason: Reason,
    message: String,
    cause: Throwable? = null,
    public val retryAfter: Long? = null,
) : IOException(message, cause)

/** The app asks for an encrypted database, and would get a plain one: no launch goes on then, whatever `whenUnavailable` says. */
internal class PlainFactoryException :
    IllegalArgumentException("the factory encrypts nothing: pass one with the key of `encryption`, of com.powersync:sqlite3multipleciphers")

/**
 * Makes an error of whatever was thrown.
 *
 * @param reason What it is if nothing is known about it.
 * @param what What failed.
 * @throws CancellationException As it is: nothing has failed. So is [PlainFactoryException], which the app has to mend.
 */
internal fun Throwable.asSeedbedException(
    reason: Reason,
    what: String,
): SeedbedException =
    when {
        this is CancellationException || this is PlainFactoryException -> throw this
        this is SeedbedException -> this
        DISK_FULL.containsMatchIn("$message") -> SeedbedException(Reason.DISK_FULL, "$what: the disk is full", this)
        else -> SeedbedException(reason, "$what: ${message ?: this}", this)
    }

private val DISK_FULL = Regex("no space left|disk is full|ENOSPC|EDQUOT|disk quota", RegexOption.IGNORE_CASE)
