package seedbed.client.snapshot

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import seedbed.client.Encoding
import seedbed.client.Form
import seedbed.client.Reason
import seedbed.client.SeedbedException
import seedbed.client.SnapshotSource
import seedbed.client.asSeedbedException
import seedbed.client.platform.Answer
import seedbed.client.platform.Exchange
import seedbed.client.platform.Http
import seedbed.client.platform.Request
import java.net.URLEncoder

/**
 * What the answer says, as far as it is used.
 *
 * @property databaseUrl Signed: anyone who has it can download the snapshot until it expires.
 * @property content The bytes of the rendition, if they come with the answer.
 * @property key Of a sealed file: 32 bytes in hex. It is written nowhere.
 */
internal class Snapshot(
    val databaseUrl: String,
    val rendition: Rendition,
    val content: Exchange?,
    val key: String?,
)

/**
 * @property encodings Of a sealed file alone, if nothing else will do.
 * @property core The version of the SDK's core extension.
 * @property finish The newest version of finishing that this package has.
 * @property inline Whether a small snapshot may come with the answer.
 */
internal class Wanted(
    val source: SnapshotSource,
    val form: Form,
    val encodings: List<Encoding>,
    val core: String,
    val finish: Long,
    val inline: Boolean,
) {
    val sealed = source.encryption != null
}

/**
 * `GET /database`: which snapshot there is, and whether this app can use it. Rules 4 and 5 of CONTRACT.md. Asks once.
 *
 * @throws SeedbedException With `retryAfter` for 202, 429 and 503.
 */
internal suspend fun ask(
    http: Http,
    wanted: Wanted,
): Snapshot {
    lateinit var refusal: SeedbedException
    var older = false
    var inline = wanted.inline
    for (question in questions(wanted)) {
        var asked = request(http, wanted.source, if (inline) question + ("inline" to "$INLINE") else question)
        if (inline && asked.answer.status == 400) {
            // An older server, which does not know the parameter.
            inline = false
            asked = request(http, wanted.source, question)
        }
        val (answer, body) = asked
        if (answer.status == 200) {
            return runCatching { checked(asked, wanted) }.onFailure { asked.content?.end() }.getOrThrow()
        }
        refusal = refusal(answer, body)
        // 400: it does not know a parameter. 404: it has no such form or encoding; with another error, no snapshot at all.
        older = answer.status == 400 || (answer.status == 404 && body.text("error").orEmpty().startsWith("no_such_"))
        if (!older) break
    }
    if (wanted.sealed && older) {
        val formats = wanted.encodings.joinToString { it.name.lowercase() }
        throw SeedbedException(Reason.ENCRYPTED, "Seedbed has no file that is sealed with $formats: see snapshots.renditions")
    }
    throw refusal
}

/** What to ask for, one after the other. */
private fun questions(wanted: Wanted): List<Map<String, String>> {
    val encoding = wanted.encodings.joinToString(",") { it.name.lowercase() }

    fun full(form: Form) = mapOf("form" to form.name.lowercase(), "encoding" to encoding, "core" to wanted.core)
    val own = setOf(wanted.form, Form.FILE).map(::full)
    // A plain file is none for a database with a key.
    return if (wanted.sealed) own else own + mapOf("encoding" to "identity")
}

/**
 * What has come of a question.
 *
 * @property content What follows the line of JSON.
 */
private data class Asked(
    val answer: Answer,
    val body: JsonObject,
    val content: Exchange?,
)

private suspend fun request(
    http: Http,
    source: SnapshotSource,
    question: Map<String, String>,
): Asked {
    val token =
        try {
            source.getToken()
        } catch (error: Exception) {
            throw error.asSeedbedException(Reason.NO_TOKEN, "the app has no token")
        }
    val query = (mapOf("store_id" to source.storeId) + question).map { (name, value) -> "$name=${encoded(value)}" }
    val url = source.url + (if ('?' in source.url) "&" else "?") + query.joinToString("&")
    val headers = mapOf("authorization" to "Bearer $token")
    val exchange = Exchange(http, Request(url, headers, silenceLimit = source.silenceLimit.toInt()))
    var content: Exchange? = null
    try {
        val answer = exchange.head()
        val isFollowed = answer.header("content-type") == WITH_CONTENT
        val body = if (isFollowed) exchange.line(LONGEST_ANSWER) else exchange.text(LONGEST_ANSWER)
        val json = runCatching { Json.parseToJsonElement(body) }.getOrNull() as? JsonObject ?: JsonObject(emptyMap())
        content = exchange.takeIf { isFollowed }
        return Asked(answer, json, content)
    } catch (error: Exception) {
        throw error.asSeedbedException(Reason.OFFLINE, "Seedbed does not answer")
    } finally {
        if (content == null) exchange.end()
    }
}

/** A snapshot of up to so many bytes is taken with the answer: a connection to the object storage takes longer than the bytes of a small one. */
private const val INLINE = 4 * 1024 * 1024

/** The media type of such an answer: a line of JSON, and the bytes. */
private const val WITH_CONTENT = "application/vnd.seedbed.database"

/** Bytes. */
private const val LONGEST_ANSWER = 1024 * 1024

internal fun encoded(value: String) = URLEncoder.encode(value, "UTF-8").replace("+", "%20")

private fun refusal(
    answer: Answer,
    body: JsonObject,
): SeedbedException {
    val error = body.text("error").orEmpty()
    val message = "no snapshot of the store: ${answer.status} $error ${body.text("message").orEmpty()}".trimEnd()
    val reason = reasonOf(answer.status, error)
    val passes = reason == Reason.BEING_SEEDED || reason == Reason.BUSY
    return SeedbedException(reason, message, retryAfter = retryAfter(answer)?.takeIf { passes }?.coerceAtLeast(1000))
}

/** What an answer that is no 200 means. */
internal fun reasonOf(
    status: Int,
    error: String,
): Reason =
    when (status) {
        202 -> Reason.BEING_SEEDED
        429, 503 -> Reason.BUSY
        401 -> Reason.UNAUTHORIZED
        403 -> if (error == "downloads_disabled") Reason.DOWNLOADS_DISABLED else Reason.WRONG_STORE
        404 -> if (error == "snapshot_too_old") Reason.TOO_OLD else Reason.NO_SNAPSHOT
        400 -> Reason.BAD_ANSWER
        else -> Reason.SERVER_ERROR
    }

/** Milliseconds that the server wants to be left alone. */
internal fun retryAfter(answer: Answer): Long? =
    answer.header("retry-after")?.toDoubleOrNull()?.takeIf { it >= 0 }?.let { (it * 1000).toLong() }

private fun checked(
    asked: Asked,
    wanted: Wanted,
): Snapshot {
    val body = asked.body
    val url = body.text("databaseUrl")?.takeIf { Regex("https?://.*", RegexOption.IGNORE_CASE).matches(it) }
    val rendition = Rendition.of(body)
    // Without these a damaged file would not be noticed.
    if (url == null || rendition == null) {
        throw SeedbedException(Reason.BAD_ANSWER, "the answer names no snapshot that this package knows: is the URL that of GET /database?")
    }
    val encodings = if (wanted.sealed) wanted.encodings else wanted.encodings + Encoding.IDENTITY
    val wasAsked = rendition.form in setOf(Form.FILE, wanted.form) && rendition.encoding in encodings
    if (!wasAsked) {
        throw SeedbedException(Reason.BAD_ANSWER, "the answer has ${rendition.form}/${rendition.encoding}, which was not asked for")
    }
    requireIdentity(body, rendition, wanted)
    val key = body.text("key")?.takeIf(KEY::matches)
    if (wanted.sealed && key == null) throw SeedbedException(Reason.BAD_ANSWER, "the answer has no key for the sealed file")
    return Snapshot(url, rendition, asked.content, key)
}

private val KEY = Regex("[0-9a-f]{64}", RegexOption.IGNORE_CASE)
