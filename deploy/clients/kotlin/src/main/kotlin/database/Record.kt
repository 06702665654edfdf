package seedbed.client.database

import androidx.sqlite.SQLiteConnection
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.put

/** The key of the record in `ps_kv`. A full clear of the database removes it, as it does with every key but `client_id`. */
internal const val RECORD_KEY = "seedbed_store"

/** Says whose database it is, if nothing says so yet. */
internal const val INSERT_RECORD = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES (?, ?)"

/** Whose database it is. */
internal data class Record(
    val store: String,
    val service: String? = null,
    val account: String? = null,
) {
    /** Whether two can be of one database: what only one of them knows is not compared. */
    fun isSameStore(other: Record): Boolean {
        fun same(
            one: String?,
            another: String?,
        ) = one.isNullOrEmpty() || another.isNullOrEmpty() || one == another
        return store == other.store && same(service, other.service) && same(account, other.account)
    }

    fun toJson(): JsonObject =
        buildJsonObject {
            put("store", store)
            service?.let { put("service", it) }
            account?.let { put("account", it) }
        }

    companion object {
        /** Null if it is none. */
        fun of(json: JsonElement?): Record? {
            val fields = json as? JsonObject ?: return null
            fun text(name: String) = runCatching { fields[name]?.jsonPrimitive?.contentOrNull }.getOrNull()
            return Record(text("store") ?: return null, text("service"), text("account"))
        }

        /** Null if the database has none, or one that cannot be read. */
        fun of(connection: SQLiteConnection): Record? {
            val value = connection.query("SELECT value FROM ps_kv WHERE key = ?", RECORD_KEY).firstOrNull()?.first()
            return runCatching { Json.parseToJsonElement(value as String).jsonObject }.getOrNull()?.let(::of)
        }
    }
}

/** A service's URL as it is compared: `https://host:port/path`, without what URLs may have or not. */
internal fun service(url: String?): String? =
    url
        ?.trim()
        ?.trimEnd('/')
        ?.takeIf { it.isNotEmpty() }
        ?.replace(ORIGIN) { it.value.lowercase() }

private val ORIGIN = Regex("^[a-z]+://[^/]+", RegexOption.IGNORE_CASE)
