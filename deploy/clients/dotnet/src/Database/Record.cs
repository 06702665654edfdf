using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace Seedbed.Client.Database
{
    /// <summary>Whose database it is.</summary>
    internal sealed class Record
    {
        /// <summary>Its key in <c>ps_kv</c>. A full clear of the database removes it, as it does with every key but <c>client_id</c>.</summary>
        public const string Key = "seedbed_store";

        /// <summary>Says whose database it is, if nothing says so yet. The key, and the record.</summary>
        public const string Insert = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES (?1, ?2)";

        public string Store { get; }
        private readonly string service;
        private readonly string account;

        public Record(string store, string service, string account)
        {
            Store = store;
            this.service = service;
            this.account = account;
        }

        /// <summary>Whether two can be of one database: what only one of them knows is not compared.</summary>
        public bool IsSameStore(Record other)
        {
            return Store == other.Store && Same(service, other.service) && Same(account, other.account);
        }

        private static bool Same(string one, string another)
        {
            return string.IsNullOrEmpty(one) || string.IsNullOrEmpty(another) || one == another;
        }

        public JObject ToJson()
        {
            var json = new JObject { ["store"] = Store };
            if (service != null) json["service"] = service;
            if (account != null) json["account"] = account;
            return json;
        }

        public string ToText()
        {
            return ToJson().ToString(Formatting.None);
        }

        /// <summary>Null if it is none.</summary>
        public static Record Of(JToken json)
        {
            var store = json is JObject fields ? (string)fields["store"] : null;
            return store == null ? null : new Record(store, (string)json["service"], (string)json["account"]);
        }

        /// <summary>Null if the database has none, or one that cannot be read.</summary>
        public static Record Of(SqliteConnection connection)
        {
            var rows = Sqlite.Query(connection, "SELECT value FROM ps_kv WHERE key = ?1", Key);
            try
            {
                return rows.Count == 0 ? null : Of(JObject.Parse((string)rows[0][0]));
            }
            catch (JsonException)
            {
                return null;
            }
        }

        /// <summary>A service's URL as it is compared: without what URLs may have or not.</summary>
        public static string ServiceOf(string url)
        {
            var bare = url?.Trim().TrimEnd('/');
            return string.IsNullOrEmpty(bare) ? null : Regex.Replace(bare, "^[A-Za-z]+://[^/]+", it => it.Value.ToLowerInvariant());
        }
    }
}
