using System;
using System.Threading;
using System.Threading.Tasks;
using PowerSync.Common.Client;
using Seedbed.Client.Database;
using Seedbed.Client.Platform;
using Seedbed.Client.Snapshot;

namespace Seedbed.Client
{
    /// <summary>
    /// A first launch from a snapshot. The states are those of CONTRACT.md; each method is one, and names what a process leaves that is
    /// killed in it.
    /// </summary>
    internal sealed class Launch
    {
        /// <summary>Pauses of <c>Wait</c>: the first is a sixth of the silence limit, 5 seconds; the longest twice the limit, a minute.</summary>
        private const int First = 6;
        private const int Longest = 2;

        private readonly Func<string, PowerSyncDatabase> open;
        private readonly SnapshotSource source;
        private readonly Paths paths;
        private readonly Sqlite sqlite;
        private readonly CancellationToken cancel;
        private LaunchLock held;

        public Record Record { get; }
        public Course Course { get; }

        public Launch(Func<string, PowerSyncDatabase> open, string database, SnapshotSource source, CancellationToken cancel)
        {
            this.open = open;
            this.source = source;
            this.cancel = cancel;
            paths = new Paths(database);
            sqlite = new Sqlite(source.LoadExtension);
            Record = new Record(source.StoreId, Record.ServiceOf(source.Endpoint), source.Account);
            Course = new Course(source.OnProgress);
        }

        /// <summary>
        /// Puts the snapshot where the SDK will open the database, if what is there may be replaced. The answer says why there is none;
        /// null if there is, or if the database is kept.
        /// </summary>
        public async Task<SeedbedException> Run()
        {
            try
            {
                var kept = Look().Kept;
                // In use for a moment: another launch is about to replace it.
                if (kept != null && kept != Reason.InUse && !paths.IsUnderWay()) return Keep(kept);
                Course.Enter(Stage.Waiting);
                return await Locked().ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                throw;
            }
            catch (Exception error)
            {
                var known = SeedbedException.Of(error, Reason.NotOpenable, "the launch failed");
                // A directory that is missing, or not writable: what the SDK says about it is what the app wants to know.
                if (known.Code != Reason.WrongStore && source.WhenUnavailable == WhenUnavailable.Sync) return Unavailable(known);
                Course.End(Result.Failed, known.Code);
                throw known;
            }
            finally
            {
                Course.Enter(null);
            }
        }

        /// <summary>Lets other launches go on: once the database is open, since the SDK's first statements wait for no lock.</summary>
        public void End()
        {
            held?.Release();
            held = null;
        }

        /// <summary>INSPECT: leaves the database as it was.</summary>
        public Inspection Look()
        {
            var inspection = Inspection.Of(sqlite, paths.Database);
            var its = inspection.Record;
            if (inspection.Kept != null && its != null && !its.IsSameStore(Record))
            {
                throw new SeedbedException(Reason.WrongStore, "the database is of store " + its.Store + ": give each store and account a file name of its own");
            }
            return inspection;
        }

        /// <summary>LOCKED: leaves an empty lock file.</summary>
        private async Task<SeedbedException> Locked()
        {
            held = await LaunchLock.Take(sqlite, paths.Lock, cancel).ConfigureAwait(false);
            Course.Outcome.Core = held.Core;
            var wait = TimeSpan.FromTicks(source.SilenceLimit.Ticks / First);
            var longest = TimeSpan.FromTicks(source.SilenceLimit.Ticks * Longest);
            while (true)
            {
                // Another launch may have installed one in the meantime.
                var kept = Look().Kept;
                if (kept != null)
                {
                    paths.RemoveLeftovers();
                    return Keep(kept);
                }
                SeedbedException known;
                try
                {
                    await Attempt().ConfigureAwait(false);
                    return null;
                }
                catch (Exception error) when (!cancel.IsCancellationRequested)
                {
                    known = SeedbedException.Of(error, Reason.NotOpenable, "no snapshot");
                }
                if (source.WhenUnavailable == WhenUnavailable.Sync) return Unavailable(known);
                // What lasts is not worth keeping the bytes for.
                if (Reason.Lasts(known.Code)) paths.RemoveLeftovers();
                if (source.WhenUnavailable == WhenUnavailable.Fail || Reason.Lasts(known.Code)) throw known;
                Course.Enter(Stage.Waiting);
                await Task.Delay(known.RetryAfter ?? wait, cancel).ConfigureAwait(false);
                wait = wait + wait < longest ? wait + wait : longest;
            }
        }

        private SeedbedException Keep(string reason)
        {
            Course.End(Result.Kept, reason);
            return null;
        }

        /// <summary>UNAVAILABLE: leaves less and less of the launch's files.</summary>
        public SeedbedException Unavailable(SeedbedException error)
        {
            try
            {
                paths.RemoveLeftovers();
            }
            catch (System.IO.IOException)
            {
                // The next launch removes them.
            }
            Course.End(Result.Sync, error.Code);
            return error;
        }

        /// <summary>From a question to an installed database.</summary>
        private async Task Attempt()
        {
            var note = Note.Read(paths);
            var rendition = await new Staging(paths, source, Course, Record, note, cancel).Run().ConfigureAwait(false);
            Course.Outcome.Form = rendition.Form;
            Course.Outcome.Encoding = rendition.Encoding;
            Course.Enter(Stage.Finishing);
            try
            {
                await Finished(rendition).ConfigureAwait(false);
            }
            catch (SeedbedException)
            {
                paths.RemoveLeftovers();
                throw;
            }
            cancel.ThrowIfCancellationRequested();
            Files.Sync(paths.Staged);
            var kept = Inspection.Install(sqlite, paths);
            if (kept != null)
            {
                paths.RemoveLeftovers();
                Keep(kept);
                return;
            }
            note.Remove();
            Course.End(Result.Installed);
        }

        /// <summary>FINISHING: leaves the staged file, finished or not.</summary>
        private async Task Finished(Rendition rendition)
        {
            var finish = new Finish(sqlite, rendition.Form, rendition.Finish, Record, source.Prepare);
            if (finish.Migrate(paths.Staged)) return;
            if (rendition.Form == SnapshotForm.Compact) await WithTables().ConfigureAwait(false);
            finish.Run(paths.Staged);
        }

        /// <summary>Has the SDK make the app's tables in the staged file: nothing public says its schema as the core extension wants it.</summary>
        private async Task WithTables()
        {
            PowerSyncDatabase db = null;
            try
            {
                db = open(paths.Staged);
                await db.Init().ConfigureAwait(false);
            }
            catch (Exception error)
            {
                throw SeedbedException.Of(error, Reason.NotOpenable, "the SDK cannot open the snapshot");
            }
            finally
            {
                if (db != null) await Seeded.Close(db).ConfigureAwait(false);
            }
        }
    }
}
