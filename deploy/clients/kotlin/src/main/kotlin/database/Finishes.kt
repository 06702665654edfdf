package seedbed.client.database

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long

/** The newest version of finishing that this package has. */
internal const val FINISH = 1L

/**
 * A way to finish a compact file: a copy of Seedbed's `protocol/finish`, with which a test compares it. No statement that comes
 * over the network is run.
 *
 * @property coreVersions Those of the core extension with which it was tested.
 * @property steps In order, in one transaction.
 */
internal class FinishVersion(
    val coreVersions: Set<String>,
    val steps: List<FinishStep>,
) {
    companion object {
        fun of(version: Long): FinishVersion {
            val text = FinishVersion::class.java.getResource("/seedbed/client/finish-v$version.json")?.readText()
            val fields = Json.parseToJsonElement(checkNotNull(text) { "the package has no finish-v$version.json" }).jsonObject
            return FinishVersion(
                fields.getValue("core_versions").jsonArray.mapTo(mutableSetOf()) { it.jsonPrimitive.content },
                fields.getValue("steps").jsonArray.map { step(it.jsonObject) },
            )
        }

        private fun step(fields: JsonObject) =
            FinishStep(
                name = fields.getValue("name").jsonPrimitive.content,
                sql = fields["sql"]?.jsonPrimitive?.contentOrNull,
                takesSchema = (fields["parameters"] as? JsonArray)?.map { it.jsonPrimitive.content } == listOf("schema"),
                returns = fields["returns"]?.jsonPrimitive?.long,
                ofCore = fields["of_core"]?.jsonPrimitive?.contentOrNull,
            )
    }
}

/**
 * @property takesSchema Whether the app's schema is its parameter, as JSON.
 * @property returns What the statement has to return.
 * @property ofCore In place of `sql`: asks a fresh database of the same core for the statements to run.
 */
internal class FinishStep(
    val name: String,
    val sql: String?,
    val takesSchema: Boolean,
    val returns: Long?,
    val ofCore: String?,
)
