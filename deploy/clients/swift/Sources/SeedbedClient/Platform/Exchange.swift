import Foundation

/// One request. Nothing limits its time but silence: the request timeout of URLSession begins anew with each piece that arrives.
final class Exchange: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private var session: URLSession!
    private var task: URLSessionDataTask!
    private let heads: AsyncThrowingStream<HTTPURLResponse, Error>
    private let head: AsyncThrowingStream<HTTPURLResponse, Error>.Continuation
    private let pieces: AsyncThrowingStream<Data, Error>
    private let body: AsyncThrowingStream<Data, Error>.Continuation

    /// The body, piece by piece.
    var content: AsyncThrowingStream<Data, Error> { pieces }

    init(_ request: URLRequest, silenceLimit: TimeInterval) {
        var head: AsyncThrowingStream<HTTPURLResponse, Error>.Continuation!
        heads = AsyncThrowingStream { head = $0 }
        self.head = head
        var body: AsyncThrowingStream<Data, Error>.Continuation!
        pieces = AsyncThrowingStream { body = $0 }
        self.body = body
        super.init()
        let configuration = URLSessionConfiguration.ephemeral
        configuration.timeoutIntervalForRequest = silenceLimit
        configuration.urlCache = nil
        configuration.httpCookieStorage = nil
        session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
        task = session.dataTask(with: request)
        task.resume()
    }

    /// The status and headers.
    func answer() async throws -> HTTPURLResponse {
        for try await answer in heads { return answer }
        try Task.checkCancellation()
        throw SeedbedError(.badAnswer, "the answer is none of HTTP")
    }

    /// All of the body, up to a limit of bytes.
    func text(limit: Int) async throws -> Data {
        var all = Data()
        for try await piece in pieces {
            all.append(piece)
            if all.count >= limit { break }
        }
        try Task.checkCancellation()
        return all
    }

    /// Nothing more is wanted: the connection ends.
    func end() {
        session.invalidateAndCancel()
    }

    func urlSession(
        _: URLSession, dataTask _: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        if let answer = response as? HTTPURLResponse { head.yield(answer) }
        head.finish()
        completionHandler(.allow)
    }

    func urlSession(_: URLSession, dataTask _: URLSessionDataTask, didReceive data: Data) {
        body.yield(data)
    }

    func urlSession(_: URLSession, task _: URLSessionTask, didCompleteWithError error: Error?) {
        head.finish(throwing: error)
        body.finish(throwing: error)
    }

    /// A token is for the server that it was given for.
    func urlSession(
        _: URLSession, task: URLSessionTask, willPerformHTTPRedirection _: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        var next = request
        let from = task.originalRequest?.url
        if next.url?.host != from?.host || next.url?.port != from?.port || next.url?.scheme != from?.scheme {
            next.setValue(nil, forHTTPHeaderField: "Authorization")
        }
        completionHandler(next)
    }
}

extension HTTPURLResponse {
    /// How long the server wants to be left alone, in seconds.
    var retryAfter: TimeInterval? {
        guard let text = value(forHTTPHeaderField: "Retry-After"), let seconds = TimeInterval(text), seconds >= 0 else { return nil }
        return seconds
    }
}

/// The object that an answer is; an empty one if it is none.
func fields(of content: Data) -> [String: Any] {
    (try? JSONSerialization.jsonObject(with: content)) as? [String: Any] ?? [:]
}

/// With parameters added.
func address(_ url: String, _ parameters: [(String, String)]) throws -> URL {
    guard var parts = URLComponents(string: url) else { throw SeedbedError(.badAnswer, "the source's url is no URL") }
    let items = parameters.map { URLQueryItem(name: $0.0, value: $0.1) }
    parts.queryItems = (parts.queryItems ?? []) + items
    // URLComponents leaves a plus, which servers read as a space.
    parts.percentEncodedQuery = parts.percentEncodedQuery?.replacingOccurrences(of: "+", with: "%2B")
    guard let whole = parts.url else { throw SeedbedError(.badAnswer, "the source's url is no URL") }
    return whole
}
