package seedbed.client.stream

import com.powersync.PowerSyncDatabase
import com.powersync.connectors.PowerSyncBackendConnector
import com.powersync.connectors.PowerSyncCredentials
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.launch
import seedbed.client.Choice
import seedbed.client.StreamSource
import kotlin.coroutines.cancellation.CancellationException

/** Names Seedbed while it is Seedbed's turn, and PowerSync in every other case. Rule 14 of CONTRACT.md. */
internal class SeededConnector(
    private val connector: PowerSyncBackendConnector,
    private val source: StreamSource,
) : PowerSyncBackendConnector() {
    private val scope = CoroutineScope(Dispatchers.Default + SupervisorJob())
    private val endpoint = endpointOf(source.url)

    /** Times that Seedbed was named since the last sync. */
    @Volatile private var tried = 0

    /** While Seedbed is what the SDK was told last. */
    @Volatile private var watch: Watch? = null

    /** Of `System.nanoTime`: a device that has synced does not ask before. */
    @Volatile private var quietUntil = System.nanoTime()

    override suspend fun getCredentialsCached(): PowerSyncCredentials? {
        // Uploads ask too, while it is connected.
        if (!source.database.currentStatus.connected && watch?.again() == false) giveUp()
        return super.getCredentialsCached()
    }

    override suspend fun fetchCredentials(): PowerSyncCredentials? {
        // Signed out.
        val own = connector.fetchCredentials() ?: return null
        val (reason, credentials) =
            try {
                choose(own)
            } catch (error: CancellationException) {
                throw error
            } catch (error: Exception) {
                (error.message ?: "$error") to null
            }
        watch?.end()
        watch = credentials?.let { Watch(source.database, source.tries, source.silenceLimit, scope, ::leave) }
        source.onChoice?.invoke(Choice(credentials != null, reason))
        return credentials ?: own
    }

    /** The SDK calls it after a 401, and at the end of Seedbed's stream: either way there is no more for this device. */
    override fun invalidateCredentials() {
        if (watch != null) refused()
        connector.invalidateCredentials()
        super.invalidateCredentials()
    }

    override suspend fun uploadData(database: PowerSyncDatabase) = connector.uploadData(database)

    private fun refused() {
        tried = Int.MAX_VALUE
        quietUntil = System.nanoTime() + REMEMBERED
    }

    private fun giveUp() {
        refused()
        super.invalidateCredentials()
    }

    /** Positions stay: what has arrived is not downloaded again. */
    private fun leave() {
        giveUp()
        scope.launch { runCatching { source.reconnect(this@SeededConnector) } }
    }

    /** Why, and the credentials for Seedbed if it is Seedbed's turn. */
    private suspend fun choose(own: PowerSyncCredentials): Pair<String, PowerSyncCredentials?> {
        val device = Device.of(source.database)
        // What comes after a clear is another first sync.
        if (device.synced) tried = 0
        turnOfPowerSync(device)?.let { return it to null }
        val token = source.getToken?.invoke() ?: own.token
        val question = StartQuestion(source.storeId, token, device.generation, source.startLimit)
        val start = askStart(source.http, endpoint, question)
        if (start.endpoint == null) {
            // A device that goes on at the service does not ask before each of its connections.
            quietUntil = System.nanoTime() + REMEMBERED
            return start.why to null
        }
        tried++
        return start.why to own.copy(endpoint = start.endpoint, token = token)
    }

    private fun turnOfPowerSync(device: Device): String? =
        when {
            device.writes -> "local_writes"
            device.synced && !device.begun -> "synced"
            tried >= source.tries -> "tried"
            device.synced && System.nanoTime() - quietUntil < 0 -> "synced"
            // It goes on where it is, at the service: a stream of Seedbed's begins at the start.
            device.begun && device.generation == null -> "own_positions"
            else -> null
        }

    private companion object {
        /** Nanoseconds, a minute. */
        const val REMEMBERED = 60_000_000_000L
    }
}
