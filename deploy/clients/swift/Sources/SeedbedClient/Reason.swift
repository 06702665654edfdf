import Foundation

/// Why a launch does not use a snapshot: fixed words, for apps, logs and reports. The raw value is as the other packages write it.
public enum Reason: String, Sendable {
    // Why the database that is there is used as it is.
    case synced
    case localWrites = "local_writes"
    case localRows = "local_rows"
    case clearedSoftly = "cleared_softly"
    case unreadable
    case inUse = "in_use"

    // Why no snapshot was installed.
    case offline
    case noToken = "no_token"
    case unauthorized
    case wrongStore = "wrong_store"
    case downloadsDisabled = "downloads_disabled"
    case noSnapshot = "no_snapshot"
    case tooOld = "too_old"
    case busy
    case beingSeeded = "being_seeded"
    case serverError = "server_error"
    case badAnswer = "bad_answer"
    case wrongService = "wrong_service"
    case wrongGeneration = "wrong_generation"
    case newerCore = "newer_core"
    case unknownFinish = "unknown_finish"
    case encrypted
    case diskFull = "disk_full"
    case stalled
    case cut
    case expired
    case corrupt
    case notOpenable = "not_openable"
    case cancelled

    /// Whether asking again changes nothing until a person, or another version of the app, does.
    public var lasts: Bool {
        switch self {
        case .unauthorized, .wrongStore, .downloadsDisabled, .badAnswer, .wrongService, .wrongGeneration, .newerCore, .unknownFinish,
             .encrypted, .notOpenable, .cancelled:
            return true
        default:
            return false
        }
    }
}

/// A first launch without a snapshot. The message is for logs, and has neither a token nor a signed URL in it.
public struct SeedbedError: Error, CustomStringConvertible, Sendable {
    public let reason: Reason
    public let message: String

    /// How long the server wants to be left alone, in seconds, if it says so.
    public let retryAfter: TimeInterval?

    init(_ reason: Reason, _ message: String, retryAfter: TimeInterval? = nil) {
        self.reason = reason
        self.message = message
        self.retryAfter = retryAfter
    }

    public var description: String { "\(reason.rawValue): \(message)" }

    /// Makes one of whatever was thrown; `reason` is what it is if nothing is known about it.
    static func of(_ error: Error, _ reason: Reason, _ what: String) -> SeedbedError {
        if let known = error as? SeedbedError { return known }
        if error is CancellationError { return SeedbedError(.cancelled, "the launch was cancelled") }
        if let url = error as? URLError {
            // What URLSession says in words may have the URL in it, which may be signed.
            if url.code == .cancelled { return SeedbedError(.cancelled, "the launch was cancelled") }
            if url.code == .timedOut { return SeedbedError(.stalled, "\(what): nothing came in time (timeout)") }
            return SeedbedError(reason, "\(what): URLError \(url.errorCode)")
        }
        let its = error as NSError
        let full = (its.domain == NSPOSIXErrorDomain && (its.code == Int(ENOSPC) || its.code == Int(EDQUOT)))
            || (its.domain == NSCocoaErrorDomain && its.code == NSFileWriteOutOfSpaceError)
            || "\(error)".range(of: "disk is full|no space left", options: [.regularExpression, .caseInsensitive]) != nil
        if full { return SeedbedError(.diskFull, "\(what): the disk is full") }
        return SeedbedError(reason, "\(what): \(error)")
    }
}
