/** The package for Kotlin as the suite drives it: commands on standard input, answers on standard output, a line each. */

package seedbed.conformance

import androidx.sqlite.SQLITE_DATA_FLOAT
import androidx.sqlite.SQLITE_DATA_INTEGER
import androidx.sqlite.SQLITE_DATA_NULL
import androidx.sqlite.SQLiteConnection
import androidx.sqlite.SQLiteStatement
import com.powersync.DatabaseDriverFactory
import com.powersync.ExperimentalPowerSyncAPI
import com.powersync.PersistentConnectionFactory
import com.powersync.PowerSyncDatabase
import com.powersync.connectors.PowerSyncBackendConnector
import com.powersync.connectors.PowerSyncCredentials
import com.powersync.db.schema.Column
import com.powersync.db.schema.Schema
import com.powersync.db.schema.Table
import com.powersync.sync.SyncStreamSubscription
import com.powersync.utils.JsonParam
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import kotlinx.serialization.json.put
import seedbed.client.Cipher
import seedbed.client.Encryption
import seedbed.client.Form
import seedbed.client.Outcome
import seedbed.client.Progress
import seedbed.client.SeedbedException
import seedbed.client.SnapshotSource
import seedbed.client.StreamSource
import seedbed.client.WhenUnavailable
import seedbed.client.openSeeded
import seedbed.client.seededConnector
import java.io.File
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.coroutines.cancellation.CancellationException
import kotlin.experimental.inv
import kotlin.system.exitProcess

private val products =
    Table(
        "products",
        listOf("store_id", "name", "description", "price", "created_at", "image_url").map(Column::text) + Column.integer("quantity"),
    )
private val orders = Table("orders", listOf(Column.text("store_id"), Column.text("status"), Column.integer("total")))
private val drafts = Table("drafts", listOf(Column.text("text")), localOnly = true)
private val schema = Schema(products, orders, drafts)

private val about =
    mapOf(
        "platform" to JsonPrimitive("kotlin"),
        "forms" to words("file", "compact"),
        "encodings" to words("gzip", "identity"),
        "softClear" to JsonPrimitive(true),
        // As whom looks at the files sees it.
        "keys" to JsonPrimitive(true),
        // The core extension 0.5.1 keeps statements of a connection that is closed.
        "holds" to JsonPrimitive(true),
    )

/** What a command answers. */
private typealias Fields = Map<String, JsonElement>

private inline fun nothing(work: () -> Unit): Fields {
    work()
    return emptyMap()
}

/** @param cipher What the app's database is encrypted with, if it has a key. */
private class App(
    private val cipher: String?,
) {
    private var db: PowerSyncDatabase? = null
    private var launch: Job? = null
    private var subscription: SyncStreamSubscription? = null
    private val choices = ConcurrentLinkedQueue<String>()

    /** Set by the thread of the launch. */
    @Volatile
    var outcome: Outcome? = null
        private set

    private fun open() = checkNotNull(db) { "no database is open" }

    suspend fun run(
        command: String,
        fields: JsonObject,
    ): Fields =
        when (command) {
            "hello" -> about + (cipher?.let { mapOf("cipher" to JsonPrimitive(it)) } ?: emptyMap())
            "open" -> open(fields)
            "cancel" -> nothing { launch?.cancel() }
            "query" -> query(fields)
            "execute" -> nothing { open().execute(fields.text("sql"), fields.parameters()) }
            "status" -> mapOf("hasSynced" to JsonPrimitive(open().currentStatus.hasSynced == true))
            "connect" -> connect(fields)
            "choices" -> mapOf("choices" to words(*choices.toTypedArray()))
            "disconnect" -> nothing { open().disconnect() }
            "clear" -> nothing { open().disconnectAndClear(clearLocal = true, soft = fields.getValue("soft").jsonPrimitive.boolean) }
            "close" -> close()
            else -> error("there is no command $command")
        }

    private suspend fun open(fields: JsonObject): Fields {
        // Before the launch begins: one that fails at once has an outcome already when `async` returns.
        outcome = null
        val ended = CoroutineScope(Dispatchers.Default).async {
            openSeeded(factory(fields), schema, source(fields), "app.db", fields.text("directory"))
        }
        launch = ended
        db = ended.await()
        return mapOf("outcome" to checkNotNull(outcome).toJson())
    }

    @OptIn(ExperimentalPowerSyncAPI::class)
    private suspend fun query(fields: JsonObject): Fields {
        val rows =
            open().useConnection(readOnly = true) { connection ->
                connection.usePrepared(fields.text("sql")) { statement ->
                    fields.parameters().forEachIndexed { index, parameter -> statement.bindText(index + 1, parameter) }
                    statement.rows()
                }
            }
        return mapOf("rows" to JsonArray(rows))
    }

    private fun factory(fields: JsonObject): PersistentConnectionFactory {
        if (cipher != null) return CipherFactory(keyOf(fields), cipher)
        val factory = DatabaseDriverFactory()
        return if ("key" in fields) Scrambling(factory) else factory
    }

    private fun encryption(fields: JsonObject): Encryption? {
        val format = fields["encryption"]?.jsonPrimitive?.content ?: cipher
        return format?.let { Encryption(keyOf(fields), Cipher.valueOf(it.uppercase())) }
    }

    private fun keyOf(fields: JsonObject) = fields["key"]?.jsonPrimitive?.content ?: "the app's key"

    private fun source(fields: JsonObject): SnapshotSource {
        fun optional(name: String) = fields[name]?.jsonPrimitive
        return SnapshotSource(
            url = fields.text("url"),
            storeId = fields.text("storeId"),
            form = Form.valueOf((optional("form")?.content ?: "file").uppercase()),
            whenUnavailable = WhenUnavailable.valueOf((optional("whenUnavailable")?.content ?: "sync").uppercase()),
            endpoint = optional("endpoint")?.content,
            account = optional("account")?.content,
            generation = optional("generation")?.content,
            maxAge = optional("maxAge")?.long,
            encryption = encryption(fields),
            subscribe = this::subscribe.takeIf { optional("subscribe")?.boolean == true },
            silenceLimit = optional("silenceLimit")?.long ?: 30_000,
            waitLimit = optional("waitLimit")?.long ?: 120_000,
            report = optional("report")?.boolean ?: false,
            onProgress = this::tell.takeIf { optional("progress")?.boolean == true },
            onOutcome = { outcome = it },
            getToken = { fields.text("token") },
        )
    }

    private fun tell(progress: Progress) = say(mapOf("progress" to progress.toJson()))

    private suspend fun connect(fields: JsonObject): Fields {
        val db = open()
        val before = db.currentStatus.lastSyncedAt
        subscribe(db)
        choices.clear()
        val own = Connector(db, fields)
        db.connect(fields["seeded"]?.let { seeded(own, it.jsonObject) } ?: own, retryDelayMs = RETRY_DELAY)
        if (fields["wait"]?.jsonPrimitive?.boolean == false) return emptyMap()
        db.currentStatus.asFlow().first { status -> status.lastSyncedAt?.let { before == null || it > before } ?: false }
        return emptyMap()
    }

    private suspend fun subscribe(db: PowerSyncDatabase) {
        subscription = db.syncStream("orders_by_status", mapOf("status" to JsonParam.String("open"))).subscribe()
    }

    private fun seeded(
        own: PowerSyncBackendConnector,
        fields: JsonObject,
    ): PowerSyncBackendConnector {
        fun optional(name: String) = fields[name]?.jsonPrimitive
        val token = optional("token")?.content
        val source =
            StreamSource(
                open(),
                fields.text("url"),
                fields.text("storeId"),
                tries = optional("tries")?.int ?: 3,
                silenceLimit = optional("silenceLimit")?.long ?: 30_000,
                startLimit = optional("startLimit")?.long ?: 5_000,
                onChoice = { choices.add("${if (it.seedbed) "seedbed" else "powersync"}: ${it.reason}") },
                reconnect = { open().connect(it, retryDelayMs = RETRY_DELAY) },
                getToken = token?.let { { it } },
            )
        return seededConnector(own, source)
    }

    private suspend fun close(): Fields {
        subscription?.unsubscribe()
        subscription = null
        open().close()
        db = null
        return emptyMap()
    }
}

private const val RETRY_DELAY = 100L

/** The app's own. */
private class Connector(
    private val db: PowerSyncDatabase,
    private val fields: JsonObject,
) : PowerSyncBackendConnector() {
    override suspend fun fetchCredentials(): PowerSyncCredentials {
        // As the package's README has it, but for the count of tries.
        val first = "first" in fields && db.currentStatus.hasSynced != true && db.getCrudBatch(1) == null
        return PowerSyncCredentials(fields.text(if (first) "first" else "endpoint"), fields.text("token"))
    }

    override suspend fun uploadData(database: PowerSyncDatabase) {
        if (fields["uploads"]?.jsonPrimitive?.boolean != true) return
        while (true) (database.getNextCrudTransaction() ?: return).complete(null)
    }
}

/**
 * As an encrypting factory to whom looks at the files: what is written beside the database is not in them. Such a one may be any
 * of an app's own.
 */
private class Scrambling(
    private val factory: DatabaseDriverFactory,
) : PersistentConnectionFactory by factory {
    override fun openConnection(
        path: String,
        openFlags: Int,
    ): SQLiteConnection {
        val connection = factory.openConnection(path, openFlags)
        return object : SQLiteConnection by connection {
            override fun close() {
                connection.close()
                val file = File(path)
                if (path.endsWith(".probe")) file.writeBytes(file.readBytes().map(Byte::inv).toByteArray())
            }
        }
    }
}

fun main(parameters: Array<String>) {
    // Whatever else is written, the log of the SDK above all, is no answer.
    System.setOut(System.err)
    val app = App(parameters.firstOrNull())
    val scope = CoroutineScope(Dispatchers.Default)
    // Not one after the other: `cancel` comes while `open` is at work.
    for (line in generateSequence(::readlnOrNull)) {
        val fields = Json.parseToJsonElement(line).jsonObject
        scope.launch { answer(app, fields) }
    }
    exitProcess(0)
}

private suspend fun answer(
    app: App,
    fields: JsonObject,
) {
    val command = fields.text("do")
    val answer =
        try {
            mapOf("ok" to JsonPrimitive(true)) + app.run(command, fields)
        } catch (error: Throwable) {
            val failed = mapOf("ok" to JsonPrimitive(false), "code" to JsonPrimitive(code(error)), "message" to JsonPrimitive("$error"))
            failed + if (command == "open") mapOf("outcome" to (app.outcome?.toJson() ?: JsonNull)) else emptyMap()
        }
    say(mapOf("id" to fields.getValue("id")) + answer)
}

private fun code(error: Throwable): String? =
    when (error) {
        is SeedbedException -> error.reason.code
        is CancellationException -> "cancelled"
        else -> null
    }

private val answers = System.out

@Synchronized
private fun say(fields: Fields) = answers.println(JsonObject(fields))

private fun JsonObject.text(name: String) = getValue(name).jsonPrimitive.content

private fun JsonObject.parameters() = this["parameters"]?.jsonArray.orEmpty().map { it.jsonPrimitive.content }

private fun SQLiteStatement.rows(): List<JsonObject> {
    val names = getColumnNames()
    return buildList { while (step()) add(JsonObject(names.withIndex().associate { (index, name) -> name to value(index) })) }
}

private fun SQLiteStatement.value(index: Int): JsonPrimitive =
    when (getColumnType(index)) {
        SQLITE_DATA_NULL -> JsonNull
        SQLITE_DATA_INTEGER -> JsonPrimitive(getLong(index))
        SQLITE_DATA_FLOAT -> JsonPrimitive(getDouble(index))
        else -> JsonPrimitive(getText(index))
    }

private fun Outcome.toJson() =
    buildJsonObject {
        put("outcome", result.name.lowercase())
        put("reason", reason?.code)
        put("form", form?.name?.lowercase())
        put("encoding", encoding?.name?.lowercase())
        put("bytes", bytes)
        put("resumes", resumes)
    }

private fun Progress.toJson() =
    buildJsonObject {
        put("stage", stage.name.lowercase())
        put("bytes", bytes)
        put("total", total)
    }

private fun words(vararg words: String) = JsonArray(words.map(::JsonPrimitive))
