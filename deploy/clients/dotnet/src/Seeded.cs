using System;
using System.Threading;
using System.Threading.Tasks;
using PowerSync.Common.Client;
using Microsoft.Extensions.Logging;
using Seedbed.Client.Database;
using Seedbed.Client.Platform;
using Seedbed.Client.Streaming;

namespace Seedbed.Client
{
    /// <summary>Opens databases that start from a snapshot instead of an initial sync.</summary>
    public static class Seeded
    {
        /// <summary>
        /// A file that an older package has placed has none, and the core extension makes one only when it creates <c>ps_kv</c>: every
        /// connection would fail with "No client_id found in ps_kv" (<c>kv.rs</c> of powersync-sqlite-core 0.5.4).
        /// </summary>
        private const string InsertClientId = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES ('client_id', uuid())";

        /// <summary>
        /// Opens the database, after installing the store's snapshot if there is none yet, or one that never completed a sync and has
        /// nothing of its own. It is ready to read, and not connected: <c>Connect</c> then downloads what has changed since the
        /// snapshot. Without a snapshot, for any reason, the database is empty and <c>Connect</c> does the normal initial sync; the
        /// reason is logged (<see cref="SnapshotSource.WhenUnavailable"/> says otherwise).
        /// </summary>
        /// <param name="open">
        /// Makes the SDK's database of a path: <c>path => new PowerSyncDatabase(…)</c> with <c>DbFilename = path</c>. It is also called
        /// for the file of a compact snapshot that is not the database yet.
        /// </param>
        /// <param name="database">The path. Each store and account needs a file of its own.</param>
        /// <param name="source">Where the snapshot comes from.</param>
        /// <param name="cancel">Ends the launch within a second; what has been downloaded stays for the next one.</param>
        /// <exception cref="SeedbedException">As <c>WhenUnavailable</c> says; if the database is another store's; if it is cancelled.</exception>
        public static async Task<PowerSyncDatabase> Open(
            Func<string, PowerSyncDatabase> open, string database, SnapshotSource source, CancellationToken cancel = default(CancellationToken))
        {
            using (var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel))
            {
                if (source.TimeLimit != null) ending.CancelAfter(source.TimeLimit.Value);
                var launch = new Launch(open, database, source, ending.Token);
                try
                {
                    return await Task.Run(() => OpenAfter(launch, open, new Paths(database).Database, source, ending.Token)).ConfigureAwait(false);
                }
                catch (OperationCanceledException error) when (ending.IsCancellationRequested)
                {
                    var code = cancel.IsCancellationRequested ? Reason.Cancelled : Reason.Stalled;
                    launch.Course.End(Result.Failed, code);
                    throw new SeedbedException(code, code == Reason.Cancelled ? "the launch was cancelled" : "it took longer than " + source.TimeLimit + " (timeout)", error);
                }
                finally
                {
                    source.OnOutcome?.Invoke(launch.Course.Outcome);
                    Report.Send(source, launch.Course.Outcome);
                }
            }
        }

        /// <summary>Runs the launch, and opens the database with the SDK. Rules 9 and 10 of CONTRACT.md.</summary>
        private static async Task<PowerSyncDatabase> OpenAfter(
            Launch launch, Func<string, PowerSyncDatabase> open, string database, SnapshotSource source, CancellationToken cancel)
        {
            PowerSyncDatabase db = null;
            try
            {
                var streams = source.Form == SnapshotForm.Stream || source.Encrypted;
                var failure = streams ? null : await launch.Run().ConfigureAwait(false);
                try
                {
                    db = await OpenSdk(open, database).ConfigureAwait(false);
                }
                catch (Exception error) when (launch.Course.Outcome.Result == Result.Installed)
                {
                    // A file that was there before may hold what its user has written. One that was installed just now does not.
                    failure = SeedbedException.Of(error, Reason.NotOpenable, "the SDK cannot open the snapshot");
                    Paths.RemoveDatabase(database);
                    var fails = source.WhenUnavailable == WhenUnavailable.Fail;
                    launch.Course.End(fails ? Result.Failed : Result.Sync, failure.Code);
                    if (fails) throw failure;
                    db = await OpenSdk(open, database).ConfigureAwait(false);
                }
                await db.Execute(InsertClientId).ConfigureAwait(false);
                if (streams) failure = await new StreamLaunch(db, source, launch.Course, launch.Record, cancel).Run().ConfigureAwait(false);
                // The SDK has parameters without numbers.
                await db.Execute(Record.Insert.Replace("?1", "?").Replace("?2", "?"), new object[] { Record.Key, launch.Record.ToText() }).ConfigureAwait(false);
                if (failure != null) db.Logger.LogWarning("starting without a snapshot: {Reason} {Message}", failure.Code, failure.Message);
                return db;
            }
            catch
            {
                if (db != null) await Close(db).ConfigureAwait(false);
                throw;
            }
            finally
            {
                launch.End();
            }
        }

        private static async Task<PowerSyncDatabase> OpenSdk(Func<string, PowerSyncDatabase> open, string database)
        {
            var db = open(database);
            try
            {
                await db.Init().ConfigureAwait(false);
                return db;
            }
            catch
            {
                await Close(db).ConfigureAwait(false);
                throw;
            }
        }

        /// <summary>Closes what is open, whatever comes of it.</summary>
        internal static async Task Close(PowerSyncDatabase db)
        {
            try
            {
                await db.Close().ConfigureAwait(false);
            }
            catch (Exception)
            {
                try
                {
                    // `Close` throws what `Init` has thrown, before it closes anything.
                    await db.Database.Close().ConfigureAwait(false);
                }
                catch (Exception)
                {
                    // It has opened nothing.
                }
            }
        }
    }
}
