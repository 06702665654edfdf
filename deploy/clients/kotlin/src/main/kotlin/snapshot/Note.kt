package seedbed.client.snapshot

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.booleanOrNull
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.put
import seedbed.client.database.Record
import seedbed.client.platform.Files
import seedbed.client.platform.Paths

/**
 * What the part and the staged file are of, so that a later launch can go on with them: `app.db.seedbed.json`. A killed process
 * leaves the one before or the one after a change.
 */
internal class Note private constructor(
    private val path: String,
    private var content: Content?,
) {
    private data class Content(
        val rendition: Rendition,
        val record: Record,
        val staged: Boolean = false,
        val etag: String? = null,
    )

    val staged get() = content?.staged ?: false
    val etag get() = content?.etag

    /** Whether the bytes that are there are those of the rendition, for the same store. */
    fun isOf(
        rendition: Rendition,
        record: Record,
    ): Boolean = content?.let { it.rendition.isSameAs(rendition) && it.record.isSameStore(record) } ?: false

    /** Begins anew. */
    fun start(
        rendition: Rendition,
        record: Record,
    ) = write(Content(rendition, record))

    fun setEtag(etag: String) {
        content?.let { write(it.copy(etag = etag)) }
    }

    fun setStaged() {
        content?.let { write(it.copy(staged = true)) }
    }

    /** The files it was about are gone. */
    fun forget() {
        content = null
    }

    fun remove() {
        forget()
        Files.remove(path)
    }

    private fun write(next: Content) {
        content = next
        val json =
            buildJsonObject {
                put("v", 1)
                put("rendition", next.rendition.toJson())
                put("record", next.record.toJson())
                put("staged", next.staged)
                put("etag", next.etag)
            }
        Files.write(path, json.toString())
    }

    companion object {
        fun read(paths: Paths): Note {
            // None, or none that can be read: the launch starts anew.
            val found = runCatching { contentOf(Json.parseToJsonElement(Files.read(paths.note)).jsonObject) }.getOrNull()
            // Killed before the part became the staged file.
            val isThere = Files.size(paths.staged) != null
            return Note(paths.note, found?.copy(staged = found.staged && isThere))
        }

        private fun contentOf(fields: JsonObject): Content? {
            if (fields.long("v") != 1L) return null
            return Content(
                rendition = Rendition.of(fields.getValue("rendition").jsonObject) ?: return null,
                record = Record.of(fields["record"]) ?: return null,
                staged = (fields["staged"] as? JsonPrimitive)?.booleanOrNull ?: false,
                etag = fields.text("etag"),
            )
        }
    }
}
