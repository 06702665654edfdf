using System;
using System.IO;
using System.Text.RegularExpressions;

namespace Seedbed.Client
{
    /// <summary>Why a launch does not use a snapshot: fixed words, for apps, logs and reports. As the other packages write them.</summary>
    public static class Reason
    {
        // Why the database that is there is used as it is.
        public const string Synced = "synced";
        public const string LocalWrites = "local_writes";
        public const string LocalRows = "local_rows";
        public const string ClearedSoftly = "cleared_softly";
        public const string Unreadable = "unreadable";
        public const string InUse = "in_use";

        // Why no snapshot was installed.
        public const string Offline = "offline";
        public const string NoToken = "no_token";
        public const string Unauthorized = "unauthorized";
        public const string WrongStore = "wrong_store";
        public const string DownloadsDisabled = "downloads_disabled";
        public const string NoSnapshot = "no_snapshot";
        public const string TooOld = "too_old";
        public const string Busy = "busy";
        public const string BeingSeeded = "being_seeded";
        public const string ServerError = "server_error";
        public const string BadAnswer = "bad_answer";
        public const string WrongService = "wrong_service";
        public const string WrongGeneration = "wrong_generation";
        public const string NewerCore = "newer_core";
        public const string UnknownFinish = "unknown_finish";
        public const string Encrypted = "encrypted";
        public const string DiskFull = "disk_full";
        public const string Stalled = "stalled";
        public const string Cut = "cut";
        public const string Expired = "expired";
        public const string Corrupt = "corrupt";
        public const string NotOpenable = "not_openable";
        public const string Cancelled = "cancelled";

        private static readonly string[] Lasting =
        {
            Unauthorized, WrongStore, DownloadsDisabled, BadAnswer, WrongService, WrongGeneration, NewerCore, UnknownFinish,
            Encrypted, NotOpenable, Cancelled
        };

        /// <summary>Whether asking again changes nothing until a person, or another version of the app, does.</summary>
        public static bool Lasts(string reason)
        {
            return Array.IndexOf(Lasting, reason) >= 0;
        }
    }

    /// <summary>A first launch without a snapshot. The message is for logs, and has neither a token nor a signed URL in it.</summary>
    public class SeedbedException : IOException
    {
        /// <summary>One of <see cref="Client.Reason"/>.</summary>
        public string Code { get; }

        /// <summary>How long the server wants to be left alone, if it says so.</summary>
        public TimeSpan? RetryAfter { get; }

        /// <summary>Makes one of a reason and a message for logs.</summary>
        public SeedbedException(string code, string message, Exception cause = null, TimeSpan? retryAfter = null) : base(message, cause)
        {
            Code = code;
            RetryAfter = retryAfter;
        }

        private static readonly Regex Full = new Regex("no space left|disk is full|not enough space|disk quota", RegexOptions.IgnoreCase);

        /// <summary>Makes one of whatever was thrown; <paramref name="code"/> if nothing is known about it.</summary>
        internal static SeedbedException Of(Exception error, string code, string what)
        {
            if (error is SeedbedException known) return known;
            // ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL of Windows.
            var full = (error.HResult & 0xFFFF) == 112 || (error.HResult & 0xFFFF) == 39 || Full.IsMatch(error.Message);
            return full
                ? new SeedbedException(Reason.DiskFull, what + ": the disk is full", error)
                : new SeedbedException(code, what + ": " + error.Message, error);
        }
    }
}
