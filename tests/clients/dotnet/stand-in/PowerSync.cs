// PowerSync's .NET SDK (PowerSync.Common 0.1.2), as far as the package and its driver use it, on the real core extension: it is not served here.

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Newtonsoft.Json.Linq;
using PowerSync.Common.Client.Connection;
using PowerSync.Common.Client.Sync.Stream;
using PowerSync.Common.DB.Schema;
using PowerSync.Common.Utils;

namespace Microsoft.Extensions.Logging
{
    public interface ILogger
    {
        void Write(string message);
    }

    public static class LoggerExtensions
    {
        public static void LogWarning(this ILogger logger, string message, params object[] values)
        {
            logger.Write(message + ": " + string.Join(", ", values));
        }
    }
}

namespace PowerSync.Common.Utils
{
    public static class PowerSyncPathResolver
    {
        public static string GetNativeLibraryPath(string directory)
        {
            return Environment.GetEnvironmentVariable("POWERSYNC_CORE");
        }
    }
}

namespace PowerSync.Common.DB.Schema
{
    public enum ColumnType { Text, Integer, Real }

    public sealed class TableOptions
    {
        public TableOptions(object indexes, bool localOnly)
        {
            LocalOnly = localOnly;
        }

        internal bool LocalOnly { get; }
    }

    public sealed class Table
    {
        public Table(string name, Dictionary<string, ColumnType> columns, TableOptions options = null)
        {
            var all = columns.Select(it => new JObject { ["name"] = it.Key, ["type"] = it.Value.ToString().ToUpperInvariant() });
            Json = new JObject { ["name"] = name, ["local_only"] = options?.LocalOnly ?? false, ["insert_only"] = false, ["columns"] = new JArray(all), ["indexes"] = new JArray() };
        }

        internal JObject Json { get; }
    }

    public sealed class Schema
    {
        public Schema(params Table[] tables)
        {
            Json = new JObject { ["tables"] = new JArray(tables.Select(it => it.Json)) };
        }

        internal JObject Json { get; }
    }
}

namespace PowerSync.Common.Client.Connection
{
    public sealed class PowerSyncCredentials
    {
        public PowerSyncCredentials(string endpoint, string token)
        {
            Endpoint = endpoint;
            Token = token;
        }

        public string Endpoint { get; }
        public string Token { get; }
    }

    public interface IPowerSyncBackendConnector
    {
        Task<PowerSyncCredentials> FetchCredentials();
        Task UploadData(IPowerSyncDatabase database);
    }
}

namespace PowerSync.Common.Client.Sync.Stream
{
    public interface ISyncStreamSubscription
    {
        void Unsubscribe();
    }
}

namespace PowerSync.Common.Client
{
    public sealed class CrudTransaction
    {
        public Task Complete()
        {
            throw new NotSupportedException();
        }
    }

    public interface IPowerSyncDatabase
    {
        Task<CrudTransaction> GetNextCrudTransaction();
    }

    public sealed class SQLOpenOptions
    {
        public string DbFilename { get; set; }
    }

    public sealed class PowerSyncDatabaseOptions
    {
        public SQLOpenOptions Database { get; set; }
        public Schema Schema { get; set; }
    }

    public sealed class PowerSyncConnectionOptions
    {
        public PowerSyncConnectionOptions(int retryDelayMs = 5000)
        {
            RetryDelayMs = retryDelayMs;
        }

        internal int RetryDelayMs { get; }
    }

    public sealed class SyncProgress
    {
        public int DownloadedOperations { get; internal set; }
        public int TotalOperations { get; internal set; }
    }

    public sealed class SyncStatus
    {
        public bool? HasSynced => LastSyncedAt != null;
        public DateTime? LastSyncedAt { get; internal set; }

        public SyncProgress DownloadProgress()
        {
            return null;
        }
    }

    /// <summary>One connection for everything.</summary>
    public sealed class PowerSyncDatabase : IPowerSyncDatabase, ILogger
    {
        private readonly SemaphoreSlim alone = new SemaphoreSlim(1);
        private readonly List<JObject> streams = new List<JObject>();
        private readonly Schema schema;
        private readonly string path;
        private readonly Task initialized;
        private SqliteConnection connection;
        private CancellationTokenSource connected;
        private Task syncing;

        public PowerSyncDatabase(PowerSyncDatabaseOptions options)
        {
            schema = options.Schema;
            path = options.Database.DbFilename;
            // As the real one: the constructor begins.
            initialized = Task.Run(() => Initialize());
        }

        public ILogger Logger => this;
        public PowerSyncDatabase Database => this;
        public SyncStatus CurrentStatus { get; } = new SyncStatus();
        public IPowerSyncBackendConnector Connector { get; private set; }
        public PowerSyncConnectionOptions ConnectionOptions { get; private set; }

        public Task Init()
        {
            return initialized;
        }

        public void Write(string message)
        {
            Console.Error.WriteLine(message);
        }

        public async Task Execute(string sql, object[] parameters = null)
        {
            await initialized;
            await Alone(() => Query(sql, parameters));
        }

        public async Task<object[]> GetAll(string sql, object[] parameters = null)
        {
            await initialized;
            return (await Alone(() => Query(sql, parameters))).Cast<object>().ToArray();
        }

        public async Task<T[]> GetAll<T>(string sql, object[] parameters = null) where T : new()
        {
            await initialized;
            var rows = await Alone(() => Query(sql, parameters));
            return rows.Select(row =>
            {
                object made = new T();
                foreach (var field in row) typeof(T).GetField(field.Key).SetValue(made, field.Value);
                return (T)made;
            }).ToArray();
        }

        public async Task<T> GetOptional<T>(string sql, object[] parameters = null) where T : new()
        {
            return (await GetAll<T>(sql, parameters)).FirstOrDefault();
        }

        public async Task<T> Get<T>(string sql, object[] parameters = null) where T : new()
        {
            return (await GetAll<T>(sql, parameters)).First();
        }

        public Task<CrudTransaction> GetNextCrudTransaction()
        {
            return Task.FromResult<CrudTransaction>(null);
        }

        public Stream SyncStream(string name, Dictionary<string, object> parameters)
        {
            return new Stream(this, new JObject { ["name"] = name, ["params"] = JObject.FromObject(parameters) });
        }

        public async Task WaitForStatus(Func<SyncStatus, bool> holds)
        {
            while (!holds(CurrentStatus)) await Task.Delay(20);
        }

        public async Task Connect(IPowerSyncBackendConnector connector, PowerSyncConnectionOptions options = null)
        {
            await initialized;
            await Disconnect();
            Connector = connector;
            ConnectionOptions = options ?? new PowerSyncConnectionOptions();
            connected = new CancellationTokenSource();
            syncing = Task.Run(() => Sync(connected.Token));
        }

        public async Task Disconnect()
        {
            if (connected == null) return;
            connected.Cancel();
            await syncing;
            connected = null;
        }

        public async Task DisconnectAndClear(bool clearLocal = true)
        {
            await Disconnect();
            await Alone(() => InTransaction("SELECT powersync_clear(" + (clearLocal ? 1 : 0) + ")"));
            CurrentStatus.LastSyncedAt = null;
        }

        public async Task Close()
        {
            await Disconnect();
            await Alone(() =>
            {
                connection?.Dispose();
                return 0;
            });
            await initialized;
        }

        private void Initialize()
        {
            connection = new SqliteConnection(path);
            connection.Open();
            connection.EnableExtensions(true);
            connection.LoadExtension(PowerSyncPathResolver.GetNativeLibraryPath(null), "sqlite3_powersync_init");
            Query("PRAGMA busy_timeout = 5000");
            Query("PRAGMA journal_mode = WAL");
            InTransaction("SELECT powersync_init()");
            InTransaction("SELECT powersync_replace_schema(?)", schema.Json.ToString());
            ReadStatus();
        }

        private void ReadStatus()
        {
            var row = Query("SELECT last_synced_at FROM ps_sync_state WHERE priority = 2147483647").FirstOrDefault();
            if (row != null) CurrentStatus.LastSyncedAt = new DateTime(1970, 1, 1).AddTicks((long)row["last_synced_at"] * 10);
        }

        private async Task<T> Alone<T>(Func<T> work)
        {
            await alone.WaitAsync();
            try
            {
                return await Task.Run(work);
            }
            finally
            {
                alone.Release();
            }
        }

        private List<Dictionary<string, object>> InTransaction(string sql, params object[] parameters)
        {
            Query("BEGIN IMMEDIATE");
            try
            {
                var rows = Query(sql, parameters);
                Query("COMMIT");
                return rows;
            }
            catch
            {
                Query("ROLLBACK");
                throw;
            }
        }

        private List<Dictionary<string, object>> Query(string sql, params object[] parameters)
        {
            var rows = new List<Dictionary<string, object>>();
            using (var command = connection.CreateCommand())
            {
                command.CommandText = sql;
                for (var at = 0; at < (parameters?.Length ?? 0); at++) command.Parameters.AddWithValue("" + (at + 1), parameters[at]);
                using (var reader = command.ExecuteReader())
                {
                    while (reader.Read())
                    {
                        var row = new Dictionary<string, object>();
                        for (var at = 0; at < reader.FieldCount; at++) row[reader.GetName(at)] = reader.IsDBNull(at) ? null : reader.GetValue(at);
                        rows.Add(row);
                    }
                }
            }
            return rows;
        }

        // --- The sync, as the core extension tells it

        private async Task Sync(CancellationToken cancel)
        {
            while (!cancel.IsCancellationRequested)
            {
                try
                {
                    await Iterate(cancel);
                }
                catch (Exception error)
                {
                    if (!cancel.IsCancellationRequested) Write("sync: " + error.Message);
                }
                await Task.WhenAny(Task.Delay(ConnectionOptions.RetryDelayMs, cancel));
            }
        }

        private async Task Iterate(CancellationToken cancel)
        {
            var options = new JObject { ["parameters"] = new JObject(), ["schema"] = schema.Json, ["include_defaults"] = true, ["active_streams"] = new JArray(streams) };
            try
            {
                var request = (await Control("start", options.ToString())).Select(it => it["EstablishSyncStream"]).First(it => it != null)["request"];
                var credentials = await Connector.FetchCredentials();
                using (var http = new HttpClient { Timeout = Timeout.InfiniteTimeSpan })
                using (var message = new HttpRequestMessage(HttpMethod.Post, credentials.Endpoint + "/sync/stream"))
                {
                    message.Headers.Authorization = new AuthenticationHeaderValue("Token", credentials.Token);
                    message.Content = new StringContent(request.ToString(), Encoding.UTF8, "application/json");
                    using (var answer = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancel))
                    using (cancel.Register(() => answer.Dispose()))
                    using (var lines = new StreamReader(await answer.EnsureSuccessStatusCode().Content.ReadAsStreamAsync()))
                    {
                        for (var line = await lines.ReadLineAsync(); line != null; line = await lines.ReadLineAsync())
                        {
                            if (line.Length > 0 && (await Control("line_text", line)).Any(it => it["CloseSyncStream"] != null)) return;
                        }
                    }
                }
            }
            finally
            {
                await Control("stop", null);
            }
        }

        private Task<List<JObject>> Control(string command, string payload)
        {
            return Alone(() =>
            {
                var answer = (string)InTransaction("SELECT powersync_control(?, ?) AS it", command, payload)[0]["it"];
                ReadStatus();
                return JArray.Parse(answer ?? "[]").OfType<JObject>().ToList();
            });
        }

        public sealed class Stream
        {
            private readonly PowerSyncDatabase db;
            private readonly JObject key;

            internal Stream(PowerSyncDatabase db, JObject key)
            {
                this.db = db;
                this.key = key;
            }

            public async Task<ISyncStreamSubscription> Subscribe()
            {
                var command = new JObject { ["subscribe"] = new JObject { ["stream"] = key } };
                await db.Control("subscriptions", command.ToString());
                db.streams.Add(key);
                return new Subscription();
            }
        }

        private sealed class Subscription : ISyncStreamSubscription
        {
            public void Unsubscribe()
            {
            }
        }
    }
}
