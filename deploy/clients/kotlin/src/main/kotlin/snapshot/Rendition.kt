package seedbed.client.snapshot

import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.doubleOrNull
import kotlinx.serialization.json.longOrNull
import kotlinx.serialization.json.put
import seedbed.client.Encoding
import seedbed.client.Form

/**
 * What identifies the bytes of a rendition, and what is needed to make a database of them. It is kept in the note.
 *
 * @property sha256 Hexadecimal, over the bytes as they are stored.
 * @property finish The version of finishing, for a compact file.
 */
internal data class Rendition(
    val form: Form,
    val encoding: Encoding,
    val bytes: Long,
    val sha256: String,
    val unpackedBytes: Long?,
    val unpackedSha256: String?,
    val finish: Long?,
) {
    /** Whether something has to be unpacked: what is plain, or sealed, is a database as it is. */
    val isPacked get() = encoding == Encoding.GZIP

    fun isSameAs(other: Rendition) = sha256 == other.sha256 && bytes == other.bytes && form == other.form

    fun toJson(): JsonObject =
        buildJsonObject {
            put("form", form.name.lowercase())
            put("encoding", encoding.name.lowercase())
            put("bytes", bytes)
            put("sha256", sha256)
            put("unpackedBytes", unpackedBytes)
            put("unpackedSha256", unpackedSha256)
            put("finish", finish)
        }

    companion object {
        /** Null if a field is missing, or is not what it should be. */
        fun of(fields: JsonObject): Rendition? {
            val form = word<Form>(fields["form"], Form.FILE) ?: return null
            return Rendition(
                form = form,
                encoding = word<Encoding>(fields["encoding"], Encoding.IDENTITY) ?: return null,
                bytes = fields.long("bytes")?.takeIf { it >= 0 } ?: return null,
                sha256 = fields.text("sha256")?.takeIf(SHA256::matches)?.lowercase() ?: return null,
                unpackedBytes = fields.long("unpackedBytes"),
                unpackedSha256 = fields.text("unpackedSha256")?.lowercase(),
                finish = fields.long("finish").takeIf { form == Form.COMPACT },
            )
        }

        private inline fun <reified E : Enum<E>> word(
            json: JsonElement?,
            default: E,
        ): E? {
            if (json == null || json is JsonNull) return default
            return enumValues<E>().find { (json as? JsonPrimitive)?.contentOrNull == it.name.lowercase() }
        }

        private val SHA256 = Regex("[0-9a-f]{64}", RegexOption.IGNORE_CASE)
    }
}

internal fun JsonObject.text(name: String): String? = (this[name] as? JsonPrimitive)?.contentOrNull

internal fun JsonObject.long(name: String): Long? = (this[name] as? JsonPrimitive)?.takeIf { !it.isString }?.longOrNull

internal fun JsonObject.double(name: String): Double? = (this[name] as? JsonPrimitive)?.takeIf { !it.isString }?.doubleOrNull
