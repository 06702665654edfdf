using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using PowerSync.Common.Utils;
using SQLitePCL;

namespace Seedbed.Client.Database
{
    /// <summary>
    /// Bare connections, by the library that the SDK uses, so that both see each other's locks, and with the core extension. They
    /// wait for no lock.
    /// </summary>
    internal sealed class Sqlite
    {
        private readonly Action<SqliteConnection> loadExtension;

        public Sqlite(Action<SqliteConnection> loadExtension)
        {
            this.loadExtension = loadExtension ?? OfDesktop;
        }

        /// <summary>Opens or creates a database.</summary>
        public SqliteConnection Open(string path)
        {
            // Closing has to close: the pool would keep it open.
            var names = new SqliteConnectionStringBuilder { DataSource = path, Pooling = false };
            var connection = new SqliteConnection(names.ToString());
            try
            {
                connection.Open();
                // Zero means that the library tries again for ever.
                connection.DefaultTimeout = 1;
                loadExtension(connection);
                Query(connection, "PRAGMA busy_timeout = 0");
                return connection;
            }
            catch
            {
                connection.Dispose();
                throw;
            }
        }

        private static void OfDesktop(SqliteConnection connection)
        {
            connection.EnableExtensions(true);
            connection.LoadExtension(PowerSyncPathResolver.GetNativeLibraryPath(AppContext.BaseDirectory), "sqlite3_powersync_init");
        }

        /// <summary>The rows, each as an array of texts, integers (long) and nulls. A parameter is bound as ?1.</summary>
        public static List<object[]> Query(SqliteConnection connection, string sql, params string[] parameters)
        {
            var rows = new List<object[]>();
            using (var command = connection.CreateCommand())
            {
                command.CommandText = sql;
                for (var at = 0; at < parameters.Length; at++) command.Parameters.AddWithValue("?" + (at + 1), parameters[at]);
                using (var reader = command.ExecuteReader())
                {
                    while (reader.Read())
                    {
                        var row = new object[reader.FieldCount];
                        for (var at = 0; at < row.Length; at++) row[at] = reader.IsDBNull(at) ? null : reader.GetValue(at);
                        rows.Add(row);
                    }
                }
            }
            return rows;
        }

        /// <summary>Runs a statement once; false if another connection is in the way. A command would try again for a second.</summary>
        public static bool TryToRun(SqliteConnection connection, string sql)
        {
            var code = raw.sqlite3_exec(connection.Handle, sql);
            if (code == raw.SQLITE_BUSY || code == raw.SQLITE_LOCKED) return false;
            if (code != raw.SQLITE_OK) throw new SqliteException(raw.sqlite3_errmsg(connection.Handle).utf8_to_string(), code);
            return true;
        }

        /// <summary>The number in the first column of the first row; null if there is none.</summary>
        public static long? Number(SqliteConnection connection, string sql)
        {
            var rows = Query(connection, sql);
            return rows.Count == 0 ? null : rows[0][0] as long?;
        }

        private static readonly Regex Busy = new Regex("database is locked|SQLITE_BUSY|database table is locked", RegexOptions.IgnoreCase);

        /// <summary>Whether another connection is in the way.</summary>
        public static bool IsBusy(Exception error)
        {
            return Busy.IsMatch(error.Message);
        }
    }
}
