import Foundation

/// Brings all bytes of a rendition into the part, over as many requests as it takes. Rule 6 of CONTRACT.md.
final class Download: @unchecked Sendable {
    let part: String
    let bytes: Int64
    let silenceLimit: TimeInterval

    /// A new URL of the same rendition; throws if there is another one now.
    let renew: () async throws -> URL

    /// The bytes have this strong ETag.
    let onEtag: (String) throws -> Void

    /// How many are there now.
    let onBytes: (Int64) -> Void
    private var databaseUrl: URL
    private var etag: String?

    /// That came over the network.
    private(set) var received: Int64 = 0
    private(set) var resumes = 0

    init(
        part: String, snapshot: Snapshot, etag: String?, silenceLimit: TimeInterval, renew: @escaping () async throws -> URL,
        onEtag: @escaping (String) throws -> Void, onBytes: @escaping (Int64) -> Void
    ) {
        self.part = part
        self.silenceLimit = silenceLimit
        self.renew = renew
        self.onEtag = onEtag
        self.onBytes = onBytes
        self.etag = etag
        bytes = snapshot.rendition.bytes
        databaseUrl = snapshot.databaseUrl
    }

    /// Requests in a row that bring nothing new.
    private static let mostFruitless = 4

    /// The first pause after such a request is this part of the silence limit.
    private static let pauses = 30.0

    /// URLs in a row that are refused.
    private static let mostRefused = 3

    /// The statuses that say that a URL has expired.
    private static let refusals: Set<Int> = [401, 403, 404, 410]

    /// Throws `stalled`, `cut`, `expired`, `serverError`, `corrupt`, `diskFull`.
    func run() async throws {
        var size = Files.size(part) ?? 0
        // The most there ever was: a server without ranges starts anew each time, and that is no progress.
        var most = size
        var fruitless = 0
        var refused = 0
        var first = size == 0
        while size < bytes {
            try Task.checkCancellation()
            if !first { resumes += 1 }
            first = false
            let (isRefused, error) = try await request(size)
            size = Files.size(part) ?? 0
            if size > most {
                most = size
                fruitless = 0
                refused = 0
            } else if isRefused {
                refused += 1
                if refused == Self.mostRefused { throw SeedbedError(.expired, "the URL of the snapshot is refused again and again") }
                databaseUrl = try await renew()
            } else {
                fruitless += 1
                if fruitless == Self.mostFruitless { throw error ?? SeedbedError(.cut, "the snapshot ended after \(size) of \(bytes) bytes") }
                try await pause(error?.retryAfter ?? silenceLimit / Self.pauses * pow(2, Double(fruitless - 1)))
            }
        }
    }

    /// Whether the URL is refused, and why the request ended early.
    private func request(_ size: Int64) async throws -> (Bool, SeedbedError?) {
        let exchange = Exchange(rangeRequest(size), silenceLimit: silenceLimit)
        defer { exchange.end() }
        do {
            let answer = try await exchange.answer()
            if Self.refusals.contains(answer.statusCode) { return (true, nil) }
            let offset = try start(of: answer, size)
            if let its = answer.value(forHTTPHeaderField: "ETag"), its.hasPrefix("\""), its != etag {
                // Written before the bytes, so that it is there when they are.
                try onEtag(its)
                etag = its
            }
            try await store(exchange, offset)
            return (false, nil)
        } catch {
            try Task.checkCancellation()
            let known = SeedbedError.of(error, .cut, "the download broke off")
            // Nothing that comes next would be right.
            if known.reason == .corrupt || known.reason == .diskFull { throw known }
            return (false, known)
        }
    }

    /// The URL is its own authorization: a token in addition to the signature makes S3 refuse it.
    ///
    /// It asks for a range from the first request on: URLSession unpacks what is called gzip, but for ranges.
    private func rangeRequest(_ size: Int64) -> URLRequest {
        var request = URLRequest(url: databaseUrl)
        request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
        request.setValue("bytes=\(size)-", forHTTPHeaderField: "Range")
        if size > 0, let etag { request.setValue(etag, forHTTPHeaderField: "If-Range") }
        return request
    }

    /// Where the bytes of the answer begin.
    private func start(of answer: HTTPURLResponse, _ size: Int64) throws -> Int64 {
        if answer.statusCode == 200 { return 0 }
        // bytes 100-199/200
        let range = answer.value(forHTTPHeaderField: "Content-Range")?.dropFirst("bytes ".count).split(whereSeparator: { "-/".contains($0) }) ?? []
        let total = range.last.map(String.init)
        if answer.statusCode == 206, range.first.map(String.init) == "\(size)", total == "*" || total == "\(bytes)" { return size }
        // Another object than the one that was promised, shorter or longer.
        let another = answer.statusCode == 206 || answer.statusCode == 416
        throw SeedbedError(another ? .corrupt : .serverError, "the snapshot cannot be downloaded: \(answer.statusCode)", retryAfter: answer.retryAfter)
    }

    private func store(_ exchange: Exchange, _ offset: Int64) async throws {
        var there = offset
        let file = try Files.append(part, offset)
        defer { try? file.close() }
        for try await piece in exchange.content {
            there += Int64(piece.count)
            if there > bytes { throw SeedbedError(.corrupt, "the snapshot has more than its \(bytes) bytes") }
            received += Int64(piece.count)
            try file.write(contentsOf: piece)
            onBytes(there)
        }
        try Task.checkCancellation()
    }
}
