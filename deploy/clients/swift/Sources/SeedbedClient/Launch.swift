import Foundation

/// A first launch from a snapshot. The states are those of CONTRACT.md; each function is one, and names what a process leaves that is
/// killed in it.
final class Launch: @unchecked Sendable {
    let record: Record
    let course: Course
    private let paths: Paths

    /// The app's, as JSON.
    private let schema: String
    private let source: SnapshotSource

    /// What the SDK runs first on each connection: its key.
    private let statements: [String]
    private var lock: LaunchLock?

    init(_ paths: Paths, _ schema: String, _ source: SnapshotSource, _ statements: [String]) {
        self.paths = paths
        self.schema = schema
        self.source = source
        self.statements = statements
        record = Record(store: source.storeId, service: service(of: source.endpoint), account: source.account)
        course = Course(source.onProgress)
    }

    /// Puts the snapshot where the SDK will open the database, if what is there may be replaced. The answer says why there is none; nil
    /// if there is, or if the database is kept.
    func run() async throws -> SeedbedError? {
        defer { course.enter(nil) }
        do {
            try Files.makeDirectory(of: paths.database)
            let kept = try look()
            // In use for a moment: another launch is about to replace it.
            if let kept, kept != .inUse, !paths.isUnderWay { return keep(kept) }
            course.enter(.waiting)
            return try await locked()
        } catch {
            try Task.checkCancellation()
            let known = SeedbedError.of(error, .notOpenable, "the launch failed")
            // A directory that is missing, or not writable: what the SDK says about it is what the app wants to know.
            if known.reason != .wrongStore, source.whenUnavailable == .sync { return unavailable(known) }
            course.end(.failed, known.reason)
            throw known
        }
    }

    /// Lets other launches go on: once the database is open, since the SDK's first statements wait for no lock.
    func end() {
        lock?.release()
        lock = nil
    }

    /// INSPECT: leaves the database as it was.
    private func look() throws -> Reason? {
        let inspection = inspect(paths.database, statements)
        if inspection.kept != nil, let its = inspection.record, !its.isSameStore(record) {
            throw SeedbedError(.wrongStore, "the database is of store \(its.store): give each store and account a file name of its own")
        }
        return inspection.kept
    }

    /// LOCKED: leaves an empty lock file.
    private func locked() async throws -> SeedbedError? {
        let taken = try await LaunchLock.take(paths.lock)
        lock = taken
        course.outcome.core = taken.core
        // The first pause of `wait` is a sixth of the silence limit, 5 seconds; the longest twice the limit, a minute.
        var wait = source.silenceLimit / 6
        while true {
            // Another launch may have installed one in the meantime.
            if let kept = try look() {
                try paths.removeLeftovers()
                return keep(kept)
            }
            do {
                try await attempt()
                return nil
            } catch {
                try Task.checkCancellation()
                let known = SeedbedError.of(error, .notOpenable, "no snapshot")
                if source.whenUnavailable == .sync { return unavailable(known) }
                // What lasts is not worth keeping the bytes for.
                if known.reason.lasts { try paths.removeLeftovers() }
                if source.whenUnavailable == .fail || known.reason.lasts { throw known }
                course.enter(.waiting)
                try await pause(known.retryAfter ?? wait)
                wait = min(2 * wait, 2 * source.silenceLimit)
            }
        }
    }

    private func keep(_ reason: Reason) -> SeedbedError? {
        course.end(.kept, reason)
        return nil
    }

    /// UNAVAILABLE: leaves less and less of the launch's files.
    private func unavailable(_ error: SeedbedError) -> SeedbedError {
        // What cannot be removed now, the next launch removes.
        try? paths.removeLeftovers()
        course.end(.sync, error.reason)
        return error
    }

    /// From a question to an installed database.
    private func attempt() async throws {
        let note = Note(reading: paths)
        let rendition = try await Staging(paths, source, course, record, note).run()
        course.outcome.form = rendition.form
        course.outcome.encoding = rendition.encoding
        course.enter(.finishing)
        do {
            let finish = Finish(form: rendition.form, version: rendition.finish, record: record, schema: schema, prepare: source.prepare)
            let staged = paths.staged
            try await blocking { try finish.run(staged) }
        } catch let error as SeedbedError {
            try paths.removeLeftovers()
            throw error
        }
        try Task.checkCancellation()
        try Files.sync(paths.staged)
        if let kept = try install(paths, statements) {
            try paths.removeLeftovers()
            _ = keep(kept)
            return
        }
        try note.remove()
        course.end(.installed)
    }
}
