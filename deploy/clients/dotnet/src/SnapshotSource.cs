using System;
using System.Collections.Generic;
using System.Net.Http;
using System.Threading.Tasks;
using Microsoft.Data.Sqlite;
using PowerSync.Common.Client;

namespace Seedbed.Client
{
    /// <summary>What is downloaded.</summary>
    public enum SnapshotForm
    {
        /// <summary>As the snapshot guide has it.</summary>
        File,

        /// <summary>A fraction of the bytes; the device finishes it.</summary>
        Compact,

        /// <summary>The SDK takes its first sync from Seedbed; nothing is placed.</summary>
        Stream
    }

    /// <summary>How the bytes of a rendition are stored.</summary>
    public enum Packing { Gzip, Identity }

    /// <summary>What to do without a snapshot.</summary>
    public enum WhenUnavailable
    {
        /// <summary>Open an empty database, so that <c>Connect</c> does the normal initial sync.</summary>
        Sync,

        /// <summary>Keep trying, for as long as the reason may pass.</summary>
        Wait,

        /// <summary>Throw a <see cref="SeedbedException"/>.</summary>
        Fail
    }

    /// <summary>What a launch is doing.</summary>
    public enum Stage { Waiting, Downloading, Unpacking, Finishing }

    /// <summary>How far a launch is.</summary>
    public sealed class Progress
    {
        /// <summary>What it is doing.</summary>
        public Stage Stage { get; internal set; }

        /// <summary>Never goes back within a stage, but for a download that starts anew. Operations, in the form stream.</summary>
        public long Bytes { get; internal set; }

        /// <summary>Null if it is not known.</summary>
        public long? Total { get; internal set; }
    }

    /// <summary>How a launch has ended.</summary>
    public enum Result { Kept, Installed, Sync, Failed }

    /// <summary>What has come of a launch.</summary>
    public sealed class Outcome
    {
        /// <summary>How it has ended.</summary>
        public Result Result { get; internal set; }

        /// <summary>One of <see cref="Client.Reason"/>; null if a snapshot was installed.</summary>
        public string Reason { get; internal set; }

        /// <summary>What was installed.</summary>
        public SnapshotForm? Form { get; internal set; }

        /// <summary>How it was stored.</summary>
        public Packing? Encoding { get; internal set; }

        /// <summary>Bytes that came over the network.</summary>
        public long Bytes { get; internal set; }

        /// <summary>Requests that went on where one before had broken off.</summary>
        public int Resumes { get; internal set; }

        /// <summary>Seconds that each stage took.</summary>
        public IDictionary<Stage, double> Seconds { get; internal set; }

        /// <summary>The version of the SDK's core extension; null for a database that was kept.</summary>
        public string Core { get; internal set; }
    }

    /// <summary>Where the snapshot comes from, and what the app wants of it.</summary>
    public sealed class SnapshotSource
    {
        /// <summary>Where <c>seedbed serve</c> answers: <c>https://seedbed.example.com/database</c>. Needed.</summary>
        public string Url { get; set; }

        /// <summary>The store whose snapshot is wanted. Needed.</summary>
        public string StoreId { get; set; }

        /// <summary>The user's token, which must allow the store. Asked for before each question. Needed.</summary>
        public Func<Task<string>> GetToken { get; set; }

        /// <summary>What is downloaded. <c>File</c> by default.</summary>
        public SnapshotForm Form { get; set; } = SnapshotForm.File;

        /// <summary>What to do without a snapshot.</summary>
        public WhenUnavailable WhenUnavailable { get; set; } = WhenUnavailable.Sync;

        /// <summary>The PowerSync service that the app connects to. A snapshot of another one is refused.</summary>
        public string Endpoint { get; set; }

        /// <summary>Who uses the database. One of another account is refused.</summary>
        public string Account { get; set; }

        /// <summary>The generation that the app needs.</summary>
        public string Generation { get; set; }

        /// <summary>Since the snapshot was verified.</summary>
        public TimeSpan? MaxAge { get; set; }

        /// <summary>Subscribes to streams beyond the default ones, before a launch in the form stream.</summary>
        public Func<PowerSyncDatabase, Task> Subscribe { get; set; }

        /// <summary>Makes tables of the app's own, before a compact file is finished. It runs in a transaction.</summary>
        public Action<SqliteConnection> Prepare { get; set; }

        /// <summary>Without a byte, after which a request is given up.</summary>
        public TimeSpan SilenceLimit { get; set; } = TimeSpan.FromSeconds(30);

        /// <summary>To wait for a store that is being seeded, or a busy server.</summary>
        public TimeSpan WaitLimit { get; set; } = TimeSpan.FromSeconds(120);

        /// <summary>For all of it, if there is to be such a limit.</summary>
        public TimeSpan? TimeLimit { get; set; }

        /// <summary>Whether to send an anonymous report of a first launch.</summary>
        public bool Report { get; set; }

        /// <summary>Called on a thread of the launch.</summary>
        public Action<Progress> OnProgress { get; set; }

        /// <summary>Called once, when the database is open or the launch has failed.</summary>
        public Action<Outcome> OnOutcome { get; set; }

        /// <summary>Whether the app's own adapter opens its database with a key: then the form is stream, whatever is asked for.</summary>
        public bool Encrypted { get; set; }

        /// <summary>Loads the core extension. That of the SDK on a desktop or server by default; on MAUI as its adapter does.</summary>
        public Action<SqliteConnection> LoadExtension { get; set; }

        /// <summary>Sends the requests. It must not unpack: <c>AutomaticDecompression</c> is none.</summary>
        public HttpClient Http { get; set; }
    }
}
