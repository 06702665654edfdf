using System;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;
using PowerSync.Common.Client;
using PowerSync.Common.Client.Connection;
using Seedbed.Client.Streaming;

namespace Seedbed.Client
{
    /// <summary>What a <see cref="SeededConnector"/> needs beside the app's own connector.</summary>
    public sealed class StreamSource
    {
        /// <summary>The SDK's, which is connected with the connector. Needed.</summary>
        public PowerSyncDatabase Database { get; set; }

        /// <summary>Where <c>seedbed serve</c> answers, as for the other forms. Needed.</summary>
        public string Url { get; set; }

        /// <summary>The store. Needed.</summary>
        public string StoreId { get; set; }

        /// <summary>The user's token for Seedbed. The one for PowerSync by default.</summary>
        public Func<Task<string>> GetToken { get; set; }

        /// <summary>Connections to Seedbed that bring nothing, before it is PowerSync's turn.</summary>
        public int Tries { get; set; } = 3;

        /// <summary>In which Seedbed's stream brings nothing, after which it is PowerSync's turn.</summary>
        public TimeSpan SilenceLimit { get; set; } = TimeSpan.FromSeconds(30);

        /// <summary>For the question.</summary>
        public TimeSpan StartLimit { get; set; } = TimeSpan.FromSeconds(5);

        /// <summary>Called whenever the SDK asks: <c>seedbed</c> or <c>powersync</c>, and why.</summary>
        public Action<string, string> OnChoice { get; set; }

        /// <summary>Sends the question.</summary>
        public HttpClient Http { get; set; }
    }

    /// <summary>
    /// The stream form: the app's connector with other credentials. They are Seedbed's while the database has never synced and has no
    /// local write, and PowerSync's in every other case. Rule 14 of CONTRACT.md.
    /// </summary>
    public sealed class SeededConnector : IPowerSyncBackendConnector
    {
        /// <summary>For which a Seedbed that has nothing, or does not answer, is not asked by a device that has synced.</summary>
        private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(1);

        private readonly IPowerSyncBackendConnector connector;
        private readonly StreamSource source;

        /// <summary>Times that Seedbed was named since the last sync.</summary>
        private int tried;
        private Watch watch;
        private DateTime quietUntil = DateTime.MinValue;

        /// <summary>Wraps the app's connector.</summary>
        public SeededConnector(IPowerSyncBackendConnector connector, StreamSource source)
        {
            this.connector = connector;
            this.source = source;
        }

        /// <summary>As the app's own does it.</summary>
        public Task UploadData(IPowerSyncDatabase database)
        {
            return connector.UploadData(database);
        }

        /// <summary>Seedbed's or the app's own.</summary>
        public async Task<PowerSyncCredentials> FetchCredentials()
        {
            var own = await connector.FetchCredentials().ConfigureAwait(false);
            // Signed out.
            if (own == null) return null;
            string reason;
            PowerSyncCredentials seedbeds;
            try
            {
                (reason, seedbeds) = await Choose(own).ConfigureAwait(false);
            }
            catch (Exception error)
            {
                (reason, seedbeds) = (error.Message, null);
            }
            watch?.Dispose();
            watch = seedbeds == null ? null : new Watch(source.Database, source.SilenceLimit, null, Again);
            source.OnChoice?.Invoke(seedbeds == null ? "powersync" : "seedbed", reason);
            return seedbeds ?? own;
        }

        private async Task Again()
        {
            tried = int.MaxValue;
            quietUntil = DateTime.UtcNow + Remembered;
            // Unless the app has disconnected, or connected otherwise. Positions stay: what has arrived is not downloaded again.
            var db = source.Database;
            if (ReferenceEquals(db.Connector, this)) await db.Connect(this, db.ConnectionOptions).ConfigureAwait(false);
        }

        /// <summary>Why, and the credentials for Seedbed if it is Seedbed's turn.</summary>
        private async Task<(string, PowerSyncCredentials)> Choose(PowerSyncCredentials own)
        {
            var device = await Device.Read(source.Database).ConfigureAwait(false);
            // What comes after a clear is another first sync.
            if (device.Synced) tried = 0;
            if (device.Writes) return (Reason.LocalWrites, null);
            if (device.Synced && !device.Begun) return (Reason.Synced, null);
            if (tried >= source.Tries) return ("tried", null);
            if (device.Synced && DateTime.UtcNow < quietUntil) return (Reason.Synced, null);
            // It goes on where it is, at the service: a stream of Seedbed's begins at the start.
            if (device.Begun && device.Generation == null) return ("own_positions", null);
            var token = source.GetToken == null ? own.Token : await source.GetToken().ConfigureAwait(false);
            var start = await Start.Ask(source.Http, source.Url, source.StoreId, token, device.Generation, source.StartLimit, CancellationToken.None).ConfigureAwait(false);
            if (start.Endpoint == null)
            {
                // A device that goes on at the service does not ask before each of its connections.
                quietUntil = DateTime.UtcNow + Remembered;
                return (start.Why, null);
            }
            tried++;
            return (start.Why, new PowerSyncCredentials(start.Endpoint, token));
        }
    }
}
