import Foundation

/// From a question to a whole staged file: WAITING, DOWNLOADING and UNPACKING. Rules 4 to 7 of CONTRACT.md. One attempt.
final class Staging: @unchecked Sendable {
    private let paths: Paths
    private let source: SnapshotSource
    private let course: Course
    private let record: Record
    private let note: Note
    private var encodings: [Packing] = [.gzip, .identity]

    /// While one snapshot was downloaded, a newer one has taken its place.
    private var replaced = false

    init(_ paths: Paths, _ source: SnapshotSource, _ course: Course, _ record: Record, _ note: Note) {
        self.paths = paths
        self.source = source
        self.course = course
        self.record = record
        self.note = note
    }

    /// Downloads from the start, before a launch goes without.
    private static let tries = 3

    /// How many times its bytes a file may unpack to, if the answer does not say.
    private static let mostPacked: Int64 = 100

    /// Does what an earlier launch has not done, and says what the staged file is.
    func run() async throws -> Rendition {
        var tries = 0
        while true {
            let snapshot = try await askPatiently()
            let rendition = snapshot.rendition
            if !note.isOf(rendition, record) {
                // Of another snapshot, or nothing that could be read.
                try paths.removeLeftovers()
                try note.start(rendition, record)
            } else if note.staged {
                return rendition
            }
            let resumed = (Files.size(paths.part) ?? 0) > 0
            do {
                replaced = false
                try await download(snapshot)
                try unpack(rendition)
                return rendition
            } catch {
                try Task.checkCancellation()
                let known = SeedbedError.of(error, .cut, "the download failed")
                tries += 1
                if try !mayTryAgain(known.reason, rendition.encoding, resumed) || tries == Self.tries { throw known }
            }
        }
    }

    /// What a failure means for the next try, and whether there is one.
    private func mayTryAgain(_ reason: Reason, _ encoding: Packing, _ resumed: Bool) throws -> Bool {
        if reason == .corrupt {
            try paths.removeLeftovers()
            note.forget()
        }
        // A machine that lost its power may have kept the size of a file and not its bytes.
        let damaged = (reason == .corrupt || reason == .cut) && encoding != .identity
        // URLSession and proxies unpack what is called gzip, some in the middle of a range: the plain file has no such name.
        if damaged, !resumed { encodings = [.identity] }
        return replaced || damaged || (reason == .corrupt && resumed)
    }

    /// WAITING: leaves what was there.
    private func askPatiently() async throws -> Snapshot {
        course.enter(.waiting)
        let deadline = Date().addingTimeInterval(source.waitLimit)
        while true {
            do {
                return try await ask()
            } catch let error as SeedbedError {
                guard let wait = error.retryAfter, Date().addingTimeInterval(wait) <= deadline else { throw error }
                try await pause(wait)
            }
        }
    }

    private func ask() async throws -> Snapshot {
        let core = course.outcome.core ?? ""
        // With another core extension, finishing is not tested.
        let tested = try FinishVersion.of(newestFinish)?.coreVersions.contains(core) ?? false
        let form = source.form == .compact && tested ? SnapshotForm.compact : .file
        return try await Question(source: source, form: form, encodings: encodings, core: core).ask()
    }

    /// DOWNLOADING: leaves the note, and a part that ends anywhere.
    private func download(_ snapshot: Snapshot) async throws {
        let rendition = snapshot.rendition
        let there = Files.size(paths.part) ?? 0
        try needDisk(rendition, left: rendition.bytes - there)
        course.enter(.downloading, bytes: there, total: rendition.bytes)
        let download = Download(
            part: paths.part, snapshot: snapshot, etag: note.etag, silenceLimit: source.silenceLimit,
            renew: { try await self.renew() },
            onEtag: { try self.note.setEtag($0) },
            onBytes: { self.course.tell($0, rendition.bytes) }
        )
        defer {
            course.outcome.bytes += download.received
            course.outcome.resumes += download.resumes
        }
        try await download.run()
    }

    private func renew() async throws -> URL {
        let renewed = try await ask()
        if note.isOf(renewed.rendition, record) { return renewed.databaseUrl }
        replaced = true
        throw SeedbedError(.expired, "there is another snapshot now")
    }

    /// UNPACKING: leaves the part, and perhaps a staged file that is not whole.
    private func unpack(_ rendition: Rendition) throws {
        if try sha256(paths.part) != rendition.sha256 { throw SeedbedError(.corrupt, "the snapshot was altered on the way: its sha256 differs") }
        try Files.removeDatabase(paths.staged)
        if rendition.encoding == .identity {
            try Files.sync(paths.part)
            // Before the rename: a process that is killed in between has a part, which is checked and renamed again.
            try note.setStaged()
            try Files.replace(paths.part, paths.staged)
            return
        }
        let total = rendition.unpackedBytes
        course.enter(.unpacking, total: total)
        do {
            try gunzip(paths.part, paths.staged, limit: total ?? Self.mostPacked * rendition.bytes) { course.tell($0, total) }
        } catch {
            try Task.checkCancellation()
            throw SeedbedError.of(error, .corrupt, "the snapshot cannot be unpacked")
        }
        var right = total == nil || Files.size(paths.staged) == total
        if let expected = rendition.unpackedSha256, right { right = try sha256(paths.staged) == expected }
        if !right { throw SeedbedError(.corrupt, "the unpacked snapshot is not what the answer says") }
        try note.setStaged()
        try Files.remove(paths.part)
    }

    private func needDisk(_ rendition: Rendition, left: Int64) throws {
        let packed = rendition.encoding != .identity
        let unpacked = rendition.unpackedBytes ?? (packed ? 4 * rendition.bytes : rendition.bytes)
        let needed = left + (packed ? unpacked : 0) + (rendition.form == .compact ? unpacked : 0)
        if let free = Files.free(paths.database), free < needed {
            throw SeedbedError(.diskFull, "the snapshot needs \(needed) bytes of disk, and \(free) are free")
        }
    }
}
