using System;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Data.Sqlite;
using Seedbed.Client.Platform;

namespace Seedbed.Client.Database
{
    /// <summary>
    /// One launch at a time for a database, in all processes. Rule 3 of CONTRACT.md. The system frees it when a process dies, and
    /// leaves the empty file.
    /// </summary>
    internal sealed class LaunchLock
    {
        private static readonly TimeSpan Again = TimeSpan.FromMilliseconds(50);

        private readonly string path;
        private readonly SqliteConnection connection;

        /// <summary>The version of the core extension, which the connection has anyway.</summary>
        public string Core { get; }

        private LaunchLock(string path, SqliteConnection connection)
        {
            this.path = path;
            this.connection = connection;
            Core = ((string)Sqlite.Query(connection, "SELECT powersync_rs_version()")[0][0]).Split('/')[0];
        }

        /// <summary>Takes it, and waits for it.</summary>
        public static async Task<LaunchLock> Take(Sqlite sqlite, string path, CancellationToken cancel)
        {
            while (true)
            {
                cancel.ThrowIfCancellationRequested();
                var taken = TryToTake(sqlite, path);
                if (taken != null) return taken;
                await Task.Delay(Again, cancel).ConfigureAwait(false);
            }
        }

        public void Release()
        {
            // While it is held, so that nobody else's is removed.
            if (!Files.CloseFirst) File.Delete(path);
            connection.Dispose();
            if (!Files.CloseFirst) return;
            try
            {
                File.Delete(path);
            }
            catch (IOException)
            {
                // The next launch has it open already.
            }
        }

        private static LaunchLock TryToTake(Sqlite sqlite, string path)
        {
            var held = Begin(sqlite, path);
            while (held != null)
            {
                // The one before may have removed the file that this connection has opened: then another file can be locked.
                var another = Begin(sqlite, path);
                if (another == null) return new LaunchLock(path, held);
                held.Dispose();
                held = another;
            }
            return null;
        }

        /// <summary>Null if another connection has it.</summary>
        private static SqliteConnection Begin(Sqlite sqlite, string path)
        {
            var connection = sqlite.Open(path);
            try
            {
                // Nothing is ever written: no file for a journal.
                if (Sqlite.TryToRun(connection, "PRAGMA journal_mode = MEMORY") && Sqlite.TryToRun(connection, "BEGIN EXCLUSIVE")) return connection;
            }
            catch
            {
                connection.Dispose();
                throw;
            }
            connection.Dispose();
            return null;
        }
    }
}
