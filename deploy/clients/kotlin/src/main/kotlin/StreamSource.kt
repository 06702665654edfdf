package seedbed.client

import com.powersync.PowerSyncDatabase
import com.powersync.connectors.PowerSyncBackendConnector
import seedbed.client.platform.Http
import seedbed.client.platform.UrlConnectionHttp
import seedbed.client.stream.SeededConnector

/**
 * Where the SDK was sent for its next connection.
 *
 * @property reason For logs.
 */
public data class Choice(
    val seedbed: Boolean,
    val reason: String,
)

/**
 * Where the first sync comes from. Times are milliseconds.
 *
 * @property database The SDK's, which is connected with the connector.
 * @property url As for the other forms, `https://seedbed.example.com/database`, or without `/database`.
 * @property tries Connections to Seedbed that bring nothing, before PowerSync's turn.
 * @property silenceLimit In which Seedbed's stream brings nothing, after which it is PowerSync's turn.
 * @property startLimit For the question whether there is a stream.
 * @property onChoice Called whenever the SDK asks.
 * @property reconnect Connects with the options of the app's own `connect`, which the SDK does not tell: called when a stream
 *   has fallen silent.
 * @property getToken The user's token for Seedbed. The one for PowerSync by default.
 */
public class StreamSource(
    public val database: PowerSyncDatabase,
    public val url: String,
    public val storeId: String,
    public val tries: Int = 3,
    public val silenceLimit: Long = 30_000,
    public val startLimit: Long = 5_000,
    public val onChoice: ((Choice) -> Unit)? = null,
    public val http: Http = UrlConnectionHttp,
    public val reconnect: suspend (PowerSyncBackendConnector) -> Unit = { database.connect(it) },
    public val getToken: (suspend () -> String)? = null,
)

/**
 * Returns the app's connector with other credentials: Seedbed's while the database has never synced and has no local write, and
 * PowerSync's in every other case. Rule 14 of CONTRACT.md. Make one for each `connect`.
 */
public fun seededConnector(
    connector: PowerSyncBackendConnector,
    source: StreamSource,
): PowerSyncBackendConnector = SeededConnector(connector, source)
