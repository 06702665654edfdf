// The package for .NET as the suite drives it: commands on standard input, answers on standard output, a line each.

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;
using PowerSync.Common.Client;
using PowerSync.Common.Client.Connection;
using PowerSync.Common.Client.Sync.Stream;
using PowerSync.Common.DB.Schema;
using Seedbed.Client;

namespace Seedbed.Conformance
{
    internal static class Program
    {
        private static readonly TextWriter Answers = Console.Out;

        private static void Main()
        {
            // Whatever else is written is no answer.
            Console.SetOut(Console.Error);
            var app = new App(Say);
            // Not one after the other: `cancel` comes while `open` is at work.
            for (var line = Console.ReadLine(); line != null; line = Console.ReadLine())
            {
                var fields = JObject.Parse(line);
                Task.Run(() => Answer(app, fields));
            }
            Environment.Exit(0);
        }

        private static async Task Answer(App app, JObject fields)
        {
            JObject answer;
            try
            {
                answer = await app.Run((string)fields["do"], fields);
                answer["ok"] = true;
            }
            catch (Exception error)
            {
                answer = new JObject { ["ok"] = false, ["code"] = (error as SeedbedException)?.Code, ["message"] = error.Message };
                if ((string)fields["do"] == "open") answer["outcome"] = app.OutcomeAsJson();
            }
            answer["id"] = fields["id"];
            Say(answer);
        }

        private static void Say(JObject line)
        {
            lock (Answers)
            {
                Answers.WriteLine(line.ToString(Formatting.None));
                Answers.Flush();
            }
        }
    }

    /// <summary>The app, and what it does when it is told.</summary>
    internal sealed class App
    {
        private readonly Action<JObject> say;
        private PowerSyncDatabase db;
        private CancellationTokenSource launch;
        private ISyncStreamSubscription subscription;
        private Outcome outcome;
        private JArray choices = new JArray();

        public App(Action<JObject> say)
        {
            this.say = say;
        }

        public async Task<JObject> Run(string command, JObject fields)
        {
            switch (command)
            {
                case "hello": return About();
                case "open": return await Open(fields);
                case "cancel":
                    launch?.Cancel();
                    return new JObject();
                case "query": return await Query(fields);
                case "execute":
                    await db.Execute((string)fields["sql"], Parameters(fields));
                    return new JObject();
                case "status": return new JObject { ["hasSynced"] = db.CurrentStatus.HasSynced == true };
                case "connect": return await Connect(fields);
                case "choices": return new JObject { ["choices"] = choices };
                case "disconnect":
                    await db.Disconnect();
                    return new JObject();
                case "clear":
                    await db.DisconnectAndClear(true);
                    return new JObject();
                case "close": return await Close();
                default: throw new InvalidOperationException("there is no command " + command);
            }
        }

        private static JObject About()
        {
            return new JObject
            {
                ["platform"] = "dotnet",
                ["forms"] = new JArray("file", "compact"),
                ["encodings"] = new JArray("gzip", "identity"),
                // The SDK has none.
                ["softClear"] = false,
                // Mono knows no file systems in memory, which the tests make.
                ["free"] = Type.GetType("Mono.Runtime") == null
            };
        }

        private static Schema AppSchema()
        {
            var text = new[] { "store_id", "name", "description", "price", "created_at", "image_url" };
            var products = text.ToDictionary(it => it, it => ColumnType.Text);
            products["quantity"] = ColumnType.Integer;
            var orders = new Dictionary<string, ColumnType> { ["store_id"] = ColumnType.Text, ["status"] = ColumnType.Text, ["total"] = ColumnType.Integer };
            var drafts = new Dictionary<string, ColumnType> { ["text"] = ColumnType.Text };
            return new Schema(
                new Table("products", products),
                new Table("orders", orders),
                new Table("drafts", drafts, new TableOptions(null, true)));
        }

        private async Task<JObject> Open(JObject fields)
        {
            launch = new CancellationTokenSource();
            outcome = null;
            var path = Path.Combine((string)fields["directory"], "app.db");
            db = await Seeded.Open(OpenSdk, path, Source(fields), launch.Token);
            return new JObject { ["outcome"] = OutcomeAsJson() };
        }

        private static PowerSyncDatabase OpenSdk(string path)
        {
            return new PowerSyncDatabase(new PowerSyncDatabaseOptions { Database = new SQLOpenOptions { DbFilename = path }, Schema = AppSchema() });
        }

        private SnapshotSource Source(JObject fields)
        {
            var source = new SnapshotSource
            {
                Url = (string)fields["url"],
                StoreId = (string)fields["storeId"],
                GetToken = () => Task.FromResult((string)fields["token"]),
                Endpoint = (string)fields["endpoint"],
                Account = (string)fields["account"],
                Generation = (string)fields["generation"],
                Encrypted = (bool?)fields["encrypted"] ?? false,
                Report = (bool?)fields["report"] ?? false,
                OnOutcome = it => outcome = it
            };
            if (fields["form"] != null) source.Form = Word<SnapshotForm>(fields["form"]);
            if (fields["whenUnavailable"] != null) source.WhenUnavailable = Word<WhenUnavailable>(fields["whenUnavailable"]);
            if (fields["maxAge"] != null) source.MaxAge = TimeSpan.FromSeconds((double)fields["maxAge"]);
            if (fields["silenceLimit"] != null) source.SilenceLimit = TimeSpan.FromMilliseconds((double)fields["silenceLimit"]);
            if (fields["waitLimit"] != null) source.WaitLimit = TimeSpan.FromMilliseconds((double)fields["waitLimit"]);
            if (fields["timeLimit"] != null) source.TimeLimit = TimeSpan.FromMilliseconds((double)fields["timeLimit"]);
            if ((bool?)fields["progress"] == true) source.OnProgress = Tell;
            return source;
        }

        private static T Word<T>(JToken word)
        {
            return (T)Enum.Parse(typeof(T), (string)word, true);
        }

        private void Tell(Progress progress)
        {
            var its = new JObject { ["stage"] = progress.Stage.ToString().ToLowerInvariant(), ["bytes"] = progress.Bytes, ["total"] = progress.Total };
            say(new JObject { ["progress"] = its });
        }

        public JToken OutcomeAsJson()
        {
            if (outcome == null) return JValue.CreateNull();
            return new JObject
            {
                ["outcome"] = outcome.Reason == Reason.Cancelled ? "cancelled" : outcome.Result.ToString().ToLowerInvariant(),
                ["reason"] = outcome.Reason,
                ["form"] = outcome.Form?.ToString().ToLowerInvariant(),
                ["encoding"] = outcome.Encoding?.ToString().ToLowerInvariant(),
                ["bytes"] = outcome.Bytes,
                ["resumes"] = outcome.Resumes
            };
        }

        private async Task<JObject> Query(JObject fields)
        {
            var rows = await db.GetAll((string)fields["sql"], Parameters(fields));
            return new JObject { ["rows"] = new JArray(rows.Select(row => JObject.FromObject((IDictionary<string, object>)row))) };
        }

        private static object[] Parameters(JObject fields)
        {
            return (fields["parameters"] as JArray)?.Select(it => ((JValue)it).Value).ToArray();
        }

        private async Task<JObject> Connect(JObject fields)
        {
            var before = db.CurrentStatus.LastSyncedAt;
            var stream = db.SyncStream("orders_by_status", new Dictionary<string, object> { ["status"] = "open" });
            subscription = await stream.Subscribe();
            choices = new JArray();
            IPowerSyncBackendConnector connector = new Connector(fields);
            if (fields["seeded"] is JObject seeded) connector = ByStream(connector, seeded);
            await db.Connect(connector, new PowerSyncConnectionOptions(retryDelayMs: (int?)fields["retryDelayMs"] ?? 100));
            if ((bool?)fields["wait"] != false) await db.WaitForStatus(it => it.LastSyncedAt != null && it.LastSyncedAt != before);
            return new JObject();
        }

        private IPowerSyncBackendConnector ByStream(IPowerSyncBackendConnector connector, JObject fields)
        {
            var source = new StreamSource
            {
                Database = db,
                Url = (string)fields["url"],
                StoreId = (string)fields["storeId"],
                OnChoice = (endpoint, reason) => choices.Add(endpoint + ": " + reason)
            };
            if (fields["tries"] != null) source.Tries = (int)fields["tries"];
            if (fields["silenceLimit"] != null) source.SilenceLimit = TimeSpan.FromMilliseconds((double)fields["silenceLimit"]);
            if (fields["startLimit"] != null) source.StartLimit = TimeSpan.FromMilliseconds((double)fields["startLimit"]);
            var token = (string)fields["token"];
            if (token != null) source.GetToken = () => Task.FromResult(token);
            return new SeededConnector(connector, source);
        }

        private async Task<JObject> Close()
        {
            subscription?.Unsubscribe();
            subscription = null;
            await db.Close();
            db = null;
            return new JObject();
        }

        /// <summary>The app's own. An upload takes what there is, if it is told to.</summary>
        private sealed class Connector : IPowerSyncBackendConnector
        {
            private readonly JObject fields;

            public Connector(JObject fields)
            {
                this.fields = fields;
            }

            public Task<PowerSyncCredentials> FetchCredentials()
            {
                return Task.FromResult(new PowerSyncCredentials((string)fields["endpoint"], (string)fields["token"]));
            }

            public async Task UploadData(IPowerSyncDatabase database)
            {
                if ((bool?)fields["uploads"] != true) return;
                for (var it = await database.GetNextCrudTransaction(); it != null; it = await database.GetNextCrudTransaction()) await it.Complete();
            }
        }
    }
}
