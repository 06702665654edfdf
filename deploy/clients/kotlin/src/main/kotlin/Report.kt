package seedbed.client

import java.util.UUID
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonObject
import seedbed.client.platform.Exchange
import seedbed.client.platform.Http
import seedbed.client.platform.Request
import seedbed.client.snapshot.encoded

/** Of this package: a test compares it with `pom.xml`. */
internal const val VERSION = "0.1.0"

/** Milliseconds. */
private const val LIMIT = 5_000

/**
 * Sends an anonymous line about a first launch, if the app wants it. Rule 13 of CONTRACT.md.
 *
 * It never fails: a report is worth nothing to the app.
 */
internal suspend fun report(
    http: Http,
    source: SnapshotSource,
    outcome: Outcome,
) {
    if (!source.report || outcome.result == Result.KEPT) return
    // Offline, or a server without reports.
    runCatching {
        val headers = mapOf("authorization" to "Bearer ${source.getToken()}", "content-type" to "application/json")
        val url = source.url.substringBeforeLast('/') + "/reports?store_id=${encoded(source.storeId)}"
        val exchange = Exchange(http, Request(url, headers, "POST", content(outcome).toByteArray(), LIMIT))
        try {
            exchange.head()
        } finally {
            exchange.end()
        }
    }
}

private fun content(outcome: Outcome): String =
    buildJsonObject {
        put("v", 1)
        // Random (version 4), by which the server knows a report that comes twice.
        put("launch", UUID.randomUUID().toString())
        put("outcome", if (outcome.reason == Reason.CANCELLED) "cancelled" else outcome.result.name.lowercase())
        put("form", outcome.form?.name?.lowercase())
        put("encoding", outcome.encoding?.name?.lowercase())
        put("reason", outcome.reason?.code)
        put("bytes", outcome.bytes)
        put("resumes", outcome.resumes)
        putJsonObject("seconds") { for ((stage, seconds) in outcome.seconds) put(stage.name.lowercase(), seconds) }
        put("platform", "kotlin")
        put("package", VERSION)
        put("core", outcome.core)
    }.toString()
