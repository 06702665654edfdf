package seedbed.client.stream

import kotlinx.coroutines.withTimeoutOrNull
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import seedbed.client.Reason
import seedbed.client.SeedbedException
import seedbed.client.platform.Exchange
import seedbed.client.platform.Http
import seedbed.client.platform.Request
import seedbed.client.snapshot.encoded
import seedbed.client.snapshot.reasonOf
import seedbed.client.snapshot.text
import kotlin.coroutines.cancellation.CancellationException

/**
 * Whether a store's stream can be had from Seedbed now: what `GET /start` says. Rule 14 of CONTRACT.md.
 *
 * @property endpoint For the SDK's credentials, if Seedbed has a stream for the device.
 * @property why In a word, for logs.
 * @property reason Why it has not.
 */
internal class Start(
    val endpoint: String?,
    val why: String,
    val reason: Reason,
)

/**
 * @property generation The newest that the device has positions of.
 * @property limit Milliseconds.
 */
internal class StartQuestion(
    val storeId: String,
    val token: String,
    val generation: String?,
    val limit: Long,
)

/**
 * Where Seedbed answers, without a path of its own: an SDK adds `/sync/stream`.
 *
 * @param url Of `GET /database`, or without that path.
 */
internal fun endpointOf(url: String): String = url.trimEnd('/').removeSuffix("/database").trimEnd('/')

/** Asks once, and answers whatever happens: without an answer, PowerSync is the place to go. */
internal suspend fun askStart(
    http: Http,
    endpoint: String,
    question: StartQuestion,
): Start {
    val known = question.generation?.let { "&generation=${encoded(it)}" }.orEmpty()
    val url = "$endpoint/start?store_id=${encoded(question.storeId)}$known"
    val headers = mapOf("authorization" to "Bearer ${question.token}")
    val exchange = Exchange(http, Request(url, headers, silenceLimit = question.limit.toInt()))
    return try {
        val answered = withTimeoutOrNull(question.limit) { exchange.head().status to exchange.text(LONGEST_ANSWER) }
        val (status, text) = answered ?: return Start(null, NO_ANSWER, Reason.STALLED)
        val body = runCatching { Json.parseToJsonElement(text) }.getOrNull() as? JsonObject ?: JsonObject(emptyMap())
        if (status == 200) said(body, endpoint) else refused(status, body.text("error").orEmpty())
    } catch (error: CancellationException) {
        throw error
    } catch (error: SeedbedException) {
        // It was silent.
        Start(null, NO_ANSWER, error.reason)
    } catch (error: Exception) {
        Start(null, error.message ?: "$error", Reason.OFFLINE)
    } finally {
        exchange.end()
    }
}

private fun said(
    body: JsonObject,
    endpoint: String,
): Start {
    val why = body.text("why") ?: "bad_answer"
    val reason = if (why == "snapshot_too_old") Reason.TOO_OLD else Reason.NO_SNAPSHOT
    val here = (body.text("endpoint") ?: endpoint).trimEnd('/').takeIf { body.text("from") == "seedbed" }
    return Start(here, why, reason)
}

private fun refused(
    status: Int,
    error: String,
) = Start(null, "$status $error".trimEnd(), reasonOf(status, error))

private const val NO_ANSWER = "no answer in time"

/** Bytes. */
private const val LONGEST_ANSWER = 64 * 1024
