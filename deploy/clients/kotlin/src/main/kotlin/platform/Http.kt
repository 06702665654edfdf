package seedbed.client.platform

import java.io.ByteArrayInputStream
import java.io.Closeable
import java.io.InputStream
import java.net.HttpURLConnection
import java.net.ProtocolException
import java.net.URL

/** How requests are sent. An app may bring its own, by OkHttp for example. */
public fun interface Http {
    /**
     * Sends a request, and returns once the headers of the answer have come. It is called on a thread of its own, which a
     * launch that is cancelled leaves to itself.
     *
     * The bytes of the body must come as they are stored: `Content-Encoding` is not undone. Redirects are followed for GET.
     *
     * @throws java.io.IOException
     * @throws java.net.SocketTimeoutException When nothing has come for [Request.silenceLimit] milliseconds; also while the
     *   body is read.
     */
    public fun send(request: Request): Answer
}

/** @property silenceLimit Milliseconds. */
public class Request(
    public val url: String,
    public val headers: Map<String, String>,
    public val method: String = "GET",
    public val body: ByteArray? = null,
    public val silenceLimit: Int,
)

/** Closing it ends the connection. */
public abstract class Answer(
    public val status: Int,
    public val body: InputStream,
) : Closeable {
    /** Whatever the case of the name. */
    public abstract fun header(name: String): String?
}

/** By what every JVM and Android has. */
public object UrlConnectionHttp : Http {
    /** As many as Seedbed itself follows. */
    private const val REDIRECTS = 3

    override fun send(request: Request): Answer {
        var url = URL(request.url)
        var headers = request.headers
        repeat(REDIRECTS + 1) {
            val connection = connect(url, headers, request)
            val status = connection.responseCode
            val next = connection.getHeaderField("Location").takeIf { status in MOVED && request.method == "GET" }
            if (next == null) return UrlConnectionAnswer(connection, status)
            connection.disconnect()
            val to = URL(url, next)
            // A token is for the server that it was given for.
            if (to.protocol != url.protocol || to.authority != url.authority) {
                headers = headers.filterKeys { !it.equals("authorization", ignoreCase = true) }
            }
            url = to
        }
        throw ProtocolException("too many redirects")
    }

    private fun connect(
        url: URL,
        headers: Map<String, String>,
        request: Request,
    ): HttpURLConnection {
        val connection = url.openConnection() as HttpURLConnection
        connection.requestMethod = request.method
        connection.instanceFollowRedirects = false
        connection.useCaches = false
        connection.connectTimeout = request.silenceLimit
        connection.readTimeout = request.silenceLimit
        // Otherwise what is not read of an answer would be downloaded in the background, to use the connection again.
        connection.setRequestProperty("Connection", "close")
        // Android would unpack what it has asked for itself.
        connection.setRequestProperty("Accept-Encoding", "identity")
        for ((name, value) in headers) connection.setRequestProperty(name, value)
        request.body?.let { body ->
            connection.doOutput = true
            connection.setFixedLengthStreamingMode(body.size)
            connection.outputStream.use { it.write(body) }
        }
        return connection
    }

    private val MOVED = setOf(301, 302, 303, 307, 308)

    private class UrlConnectionAnswer(
        private val connection: HttpURLConnection,
        status: Int,
    ) : Answer(status, (if (status >= 400) connection.errorStream else connection.inputStream) ?: ByteArrayInputStream(ByteArray(0))) {
        override fun header(name: String): String? = connection.getHeaderField(name)

        override fun close() = connection.disconnect()
    }
}
