using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.Data.Sqlite;
using Seedbed.Client.Platform;

namespace Seedbed.Client.Database
{
    /// <summary>Whether the database that is there may be replaced. Rules 1 and 2 of CONTRACT.md.</summary>
    internal sealed class Inspection
    {
        /// <summary>Why it must not be; null if it may.</summary>
        public string Kept { get; private set; }

        public Record Record { get; private set; }

        /// <summary>PowerSync's own, up to schema version 14 (<c>migrations.rs</c> of powersync-sqlite-core 0.5.4).</summary>
        private static readonly HashSet<string> Internal = new HashSet<string>
        {
            "ps_migration", "ps_untyped", "ps_crud", "ps_tx", "ps_kv", "ps_buckets", "ps_oplog", "ps_updated_rows",
            "ps_stream_subscriptions", "ps_sync_state"
        };

        /// <summary>Looks at the database, if there is one.</summary>
        public static Inspection Of(Sqlite sqlite, string database)
        {
            if (!File.Exists(database)) return new Inspection();
            try
            {
                using (var connection = sqlite.Open(database)) return Of(connection);
            }
            catch (Exception error)
            {
                return new Inspection { Kept = Sqlite.IsBusy(error) ? Reason.InUse : Reason.Unreadable };
            }
        }

        /// <summary>Puts the staged file where the database is, unless that must be kept: then the answer says why.</summary>
        public static string Install(Sqlite sqlite, Paths paths)
        {
            if (!File.Exists(paths.Database))
            {
                Paths.RemoveCompanions(paths.Database);
                return Files.Place(paths.Staged, paths.Database) ? null : Reason.InUse;
            }
            try
            {
                using (var connection = sqlite.Open(paths.Database))
                {
                    var kept = ReplaceableUnderLock(connection);
                    if (kept != null) return kept;
                    if (Files.CloseFirst) connection.Close();
                    Paths.RemoveCompanions(paths.Database);
                    Files.Replace(paths.Staged, paths.Database);
                    return null;
                }
            }
            catch (Exception error) when (Sqlite.IsBusy(error))
            {
                return Reason.InUse;
            }
        }

        /// <summary>Takes the lock that no other open connection holds along with it, and inspects. It stays until the connection is closed.</summary>
        private static string ReplaceableUnderLock(SqliteConnection connection)
        {
            // Refused while any other connection is open, idle ones included. It has to be set before anything is read.
            Sqlite.Query(connection, "PRAGMA locking_mode = EXCLUSIVE");
            if (!Sqlite.TryToRun(connection, "BEGIN EXCLUSIVE")) return Reason.InUse;
            var kept = Of(connection).Kept;
            Sqlite.Query(connection, "ROLLBACK");
            // With a WAL, closing would remove a file by its name, and that name will be the new database's.
            if (kept == null) Sqlite.Query(connection, "PRAGMA journal_mode = DELETE");
            return kept;
        }

        private static Inspection Of(SqliteConnection connection)
        {
            var tables = TablesOf(connection);
            return new Inspection
            {
                Record = tables.Contains("ps_kv") ? Record.Of(connection) : null,
                Kept = KeptFor(connection, tables)
            };
        }

        private static string KeptFor(SqliteConnection connection, HashSet<string> tables)
        {
            Func<string, bool> has = table => tables.Contains(table) && HasRow(connection, table);
            var once = tables.Contains("ps_kv") && HasRow(connection, "ps_kv", "WHERE key = 'last_synced_at'");
            if (once || has("ps_sync_state")) return Reason.Synced;
            if (has("ps_crud")) return Reason.LocalWrites;
            if (has("ps_untyped") || tables.Any(it => !Internal.Contains(it) && has(it))) return Reason.LocalRows;
            return has("ps_oplog") && WasComplete(connection) ? Reason.ClearedSoftly : null;
        }

        /// <summary>Every table that holds rows of its own: neither SQLite's nor the shadow of a virtual one.</summary>
        private static HashSet<string> TablesOf(SqliteConnection connection)
        {
            const string All = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') "
                + "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
            return new HashSet<string>(Sqlite.Query(connection, All).Select(row => (string)row[0]));
        }

        private static bool HasRow(SqliteConnection connection, string table, string where = "")
        {
            return Sqlite.Number(connection, "SELECT EXISTS (SELECT 1 FROM \"" + table.Replace("\"", "\"\"") + "\" " + where + ")") == 1;
        }

        /// <summary>
        /// Whether a bucket had once all of a checkpoint: then its operations were kept on purpose. A soft clear leaves
        /// <c>count_at_last</c>; a first download that broke off has 0.
        /// </summary>
        private static bool WasComplete(SqliteConnection connection)
        {
            var columns = Sqlite.Query(connection, "SELECT name FROM pragma_table_info('ps_buckets')").Select(row => (string)row[0]);
            return !columns.Contains("count_at_last") || HasRow(connection, "ps_buckets", "WHERE count_at_last > 0");
        }
    }
}
