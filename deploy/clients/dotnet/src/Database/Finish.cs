using System;
using System.Linq;
using Microsoft.Data.Sqlite;

namespace Seedbed.Client.Database
{
    /// <summary>
    /// Makes a database of a staged file, in one transaction. Rule 8 of CONTRACT.md. A process that is killed leaves it finished or as
    /// it was: SQLite's journal decides when it is opened again.
    /// </summary>
    internal sealed class Finish
    {
        /// <summary>
        /// The SDK has no raw tables, and a first open of the SDK has put its schema into the file, where the core extension finds
        /// it.
        /// </summary>
        private const string NoRawTables = "{\"tables\":[],\"raw_tables\":[]}";

        private readonly Sqlite sqlite;
        private readonly SnapshotForm form;
        private readonly long? version;
        private readonly Record record;
        private readonly Action<SqliteConnection> prepare;

        public Finish(Sqlite sqlite, SnapshotForm form, long? version, Record record, Action<SqliteConnection> prepare)
        {
            this.sqlite = sqlite;
            this.form = form;
            this.version = version;
            this.record = record;
            this.prepare = prepare;
        }

        /// <summary>Migrates the staged file, and says whether it has been finished already.</summary>
        public bool Migrate(string staged)
        {
            return InTransaction(staged, connection =>
            {
                Migrate(connection);
                return Sqlite.Query(connection, "SELECT 1 FROM ps_kv WHERE key = ?1", Record.Key).Count > 0;
            });
        }

        /// <summary>Finishes a staged file that was migrated, and of a compact one that the SDK has opened.</summary>
        public void Run(string staged)
        {
            InTransaction(staged, connection =>
            {
                Complete(connection);
                return true;
            });
        }

        private T InTransaction<T>(string staged, Func<SqliteConnection, T> work)
        {
            try
            {
                using (var connection = sqlite.Open(staged))
                {
                    // One file, so that the rename takes all of it.
                    Sqlite.Query(connection, "PRAGMA journal_mode = DELETE");
                    Sqlite.Query(connection, "BEGIN IMMEDIATE");
                    // An error needs no ROLLBACK: closing is one.
                    var done = work(connection);
                    Sqlite.Query(connection, "COMMIT");
                    return done;
                }
            }
            catch (Exception error)
            {
                throw SeedbedException.Of(error, Reason.NotOpenable, "the snapshot cannot be finished");
            }
        }

        /// <summary>Migrates up; or down, by what the newer core has left for that, and then refuses the file.</summary>
        private static void Migrate(SqliteConnection connection)
        {
            const string Highest = "SELECT max(id) FROM ps_migration";
            var before = Sqlite.Number(connection, Highest) ?? 0;
            long after;
            try
            {
                Sqlite.Query(connection, "SELECT powersync_init()");
                after = Sqlite.Number(connection, Highest) ?? 0;
            }
            catch (SqliteException error) when (error.Message.IndexOf("down migration", StringComparison.OrdinalIgnoreCase) >= 0)
            {
                // There is no way down.
                after = 0;
            }
            if (after < before) throw new SeedbedException(Reason.NewerCore, "the snapshot has schema " + before + ", which is newer than the SDK's");
        }

        private void Complete(SqliteConnection connection)
        {
            Sqlite.Query(connection, "DELETE FROM ps_kv WHERE key LIKE '%\\_checkpoint\\_request\\_id' ESCAPE '\\'");
            // Two clients must never share one: the service tells them apart by it.
            Sqlite.Query(connection, "INSERT OR REPLACE INTO ps_kv (key, value) VALUES ('client_id', uuid())");
            if (form == SnapshotForm.Compact)
            {
                prepare?.Invoke(connection);
                foreach (var step in FinishVersion.Of(version ?? 0).Steps) Take(connection, step);
            }
            Require(Sqlite.Number(connection, "SELECT EXISTS (SELECT 1 FROM ps_sync_state)") == 1, "the core extension does not accept its checkpoint");
            Require(Sqlite.Number(connection, "SELECT EXISTS (SELECT 1 FROM ps_crud)") == 0, "it has local writes");
            Sqlite.Query(connection, Record.Insert, Record.Key, record.ToText());
        }

        private void Take(SqliteConnection connection, FinishStep step)
        {
            if (step.OfCore != null)
            {
                foreach (var sql in AskCore(step.OfCore)) Sqlite.Query(connection, sql);
            }
            if (step.Sql == null) return;
            var rows = step.TakesSchema ? Sqlite.Query(connection, step.Sql, NoRawTables) : Sqlite.Query(connection, step.Sql);
            var returned = rows.Count == 0 ? null : rows[0][0];
            Require(step.Returns == null || step.Returns.Equals(returned), "the step " + step.Name + " returned " + returned + " in place of " + step.Returns);
        }

        /// <summary>What this core extension would make itself.</summary>
        private string[] AskCore(string question)
        {
            using (var fresh = sqlite.Open(":memory:"))
            {
                Sqlite.Query(fresh, "BEGIN");
                Sqlite.Query(fresh, "SELECT powersync_init()");
                return Sqlite.Query(fresh, question).Select(row => (string)row[0]).ToArray();
            }
        }

        private static void Require(bool holds, string otherwise)
        {
            if (!holds) throw new SeedbedException(Reason.NotOpenable, otherwise);
        }
    }
}
