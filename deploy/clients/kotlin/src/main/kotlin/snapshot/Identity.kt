package seedbed.client.snapshot

import kotlinx.serialization.json.JsonObject
import seedbed.client.Form
import seedbed.client.Reason
import seedbed.client.SeedbedException
import seedbed.client.database.service
import java.text.ParsePosition
import java.text.SimpleDateFormat
import java.util.Locale
import java.util.TimeZone

/**
 * Refuses what is not for this app, before anything is downloaded. Rule 5 of CONTRACT.md.
 *
 * @throws SeedbedException
 */
internal fun requireIdentity(
    body: JsonObject,
    rendition: Rendition,
    wanted: Wanted,
) {
    val source = wanted.source
    val store = body.text("storeId")
    if (store != null && store != source.storeId) refuse(Reason.WRONG_STORE, "the snapshot is of another store")
    val its = service(body.text("serviceEndpoint"))
    val own = service(source.endpoint)
    if (its != null && own != null && its != own) refuse(Reason.WRONG_SERVICE, "the snapshot is of $its, and the app connects to $own")
    val generation = body.text("generation")
    if (source.generation != null && generation != null && generation != source.generation) {
        refuse(Reason.WRONG_GENERATION, "the snapshot is of generation $generation, not ${source.generation}")
    }
    requireFresh(body, source.maxAge)
    val core = body.text("coreVersion")
    if (core != null && isNewer(core, wanted.core)) {
        refuse(Reason.NEWER_CORE, "the snapshot is of core $core, and the SDK has ${wanted.core}")
    }
    if (rendition.form == Form.COMPACT && (rendition.finish ?: 0) !in 1..wanted.finish) {
        refuse(Reason.UNKNOWN_FINISH, "the snapshot needs version ${rendition.finish} of finishing, and this package has ${wanted.finish}")
    }
}

private fun requireFresh(
    body: JsonObject,
    maxAge: Long?,
) {
    val limit = listOfNotNull(maxAge?.toDouble(), body.double("maxAge")).minOrNull() ?: return
    val since = milliseconds(body.text("verifiedAt") ?: body.text("createdAt")) ?: return
    val age = (System.currentTimeMillis() - since) / 1000
    if (age > limit) refuse(Reason.TOO_OLD, "the snapshot was verified $age s ago, and may be $limit s old")
}

private fun refuse(
    reason: Reason,
    message: String,
): Nothing = throw SeedbedException(reason, message)

/** Whether a version `1.2.3` is newer than another. */
internal fun isNewer(
    version: String,
    than: String,
): Boolean {
    fun numbers(text: String) = text.split(Regex("[^0-9]+")).take(3).map { it.toIntOrNull() ?: 0 }
    val differing = numbers(version).zip(numbers(than)).firstOrNull { (one, another) -> one != another }
    return differing != null && differing.first > differing.second
}

/** Since 1970, of a time as in RFC 3339; null if it is none. `java.time` came to Android with version 8. */
internal fun milliseconds(time: String?): Long? {
    val parts = RFC3339.matchEntire(time ?: return null) ?: return null
    val (second, offset) = parts.destructured
    val format = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ssX", Locale.ROOT)
    format.timeZone = TimeZone.getTimeZone("UTC")
    return format.parse("${second.uppercase()}${offset.uppercase()}", ParsePosition(0))?.time
}

private val RFC3339 = Regex("""(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:?\d\d)""")
