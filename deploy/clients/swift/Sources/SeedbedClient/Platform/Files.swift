import Foundation

/// The files of a launch, beside the database.
struct Paths: Sendable {
    let database: String

    var note: String { database + ".seedbed.json" }
    var part: String { database + ".seedbed.part" }
    var staged: String { database + ".seedbed.db" }
    var probe: String { database + ".seedbed.probe" }
    var lock: String { database + ".seedbed.lock" }

    /// Whether there is anything of a launch: one that goes on, or one that was killed.
    var isUnderWay: Bool { [lock, note, part, staged, probe].contains { Files.size($0) != nil } }

    /// Removes whatever launches have left, but for the lock.
    func removeLeftovers() throws {
        try Files.remove(part)
        try Files.removeDatabase(staged)
        try Files.removeDatabase(probe)
        try Files.remove(note + ".new")
        try Files.remove(note)
    }

    /// Where the SDK opens a database of this name (`DatabaseLocation` of powersync-swift 1.15).
    static func ofSdk(_ dbFilename: String) throws -> Paths {
        if dbFilename.hasPrefix("/") { return Paths(database: dbFilename) }
        let support = try FileManager.default.url(for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        return Paths(database: support.appendingPathComponent("databases", isDirectory: true).appendingPathComponent(dbFilename).path)
    }
}

/// What a launch does with files.
enum Files {
    /// Bytes; nil if there is no such file.
    static func size(_ path: String) -> Int64? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return (attributes?[.size] as? NSNumber)?.int64Value
    }

    /// Does nothing if there is no such file.
    static func remove(_ path: String) throws {
        if unlink(path) != 0, errno != ENOENT { throw failure(path) }
    }

    /// Removes a database with SQLite's other files.
    static func removeDatabase(_ path: String) throws {
        try remove(path)
        try removeCompanions(path)
    }

    /// Removes what SQLite would take for the database's own: a WAL or journal that another one has left.
    static func removeCompanions(_ path: String) throws {
        for suffix in ["-wal", "-shm", "-journal"] { try remove(path + suffix) }
    }

    /// The SDK makes the directory when it opens the database; a launch comes before.
    static func makeDirectory(of path: String) throws {
        let directory = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    /// Replaces what is there as a whole.
    static func write(_ path: String, _ content: Data) throws {
        let fresh = path + ".new"
        let file = try append(fresh, 0)
        defer { try? file.close() }
        try file.write(contentsOf: content)
        try file.synchronize()
        try replace(fresh, path)
    }

    /// Renames over what is there.
    static func replace(_ from: String, _ to: String) throws {
        if rename(from, to) != 0 { throw failure(to) }
    }

    /// Renames; false if something is there. Unlike a rename, a link never replaces what is there.
    static func place(_ from: String, _ to: String) throws -> Bool {
        if link(from, to) == 0 {
            try remove(from)
            return true
        }
        if errno == EEXIST { return false }
        throw failure(to)
    }

    /// Opens for writing at an offset, which is the size, or 0: then what is there goes.
    static func append(_ path: String, _ offset: Int64) throws -> FileHandle {
        if size(path) == nil, !FileManager.default.createFile(atPath: path, contents: nil) { throw failure(path) }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.truncate(atOffset: UInt64(offset))
        try file.seek(toOffset: UInt64(offset))
        return file
    }

    /// Brings a file to the disk.
    static func sync(_ path: String) throws {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.synchronize()
    }

    /// Bytes that are free for a path.
    static func free(_ path: String) -> Int64? {
        let directory = (path as NSString).deletingLastPathComponent
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: directory)
        return (attributes?[.systemFreeSize] as? NSNumber)?.int64Value
    }

    private static func failure(_ path: String) -> Error {
        NSError(domain: NSPOSIXErrorDomain, code: Int(errno), userInfo: [NSFilePathErrorKey: path])
    }
}

/// Runs what waits for the disk away from Swift's own threads.
func blocking<T>(_ work: @escaping () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global(qos: .userInitiated).async { continuation.resume(with: Swift.Result(catching: work)) }
    }
}

func pause(_ seconds: TimeInterval) async throws {
    try await Task.sleep(nanoseconds: UInt64(max(0, seconds) * 1_000_000_000))
}
