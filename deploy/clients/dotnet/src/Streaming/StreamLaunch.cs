using System;
using System.Threading;
using System.Threading.Tasks;
using PowerSync.Common.Client;
using PowerSync.Common.Client.Connection;
using Seedbed.Client.Database;

namespace Seedbed.Client.Streaming
{
    /// <summary>A first launch in the stream form: the SDK itself takes the first sync from Seedbed, before the app has the database.</summary>
    internal sealed class StreamLaunch
    {
        /// <summary>The pause of the SDK between two connections is this part of the silence limit: a second.</summary>
        private const int Pauses = 30;

        private readonly PowerSyncDatabase db;
        private readonly SnapshotSource source;
        private readonly Course course;
        private readonly Record record;
        private readonly CancellationToken cancel;

        public StreamLaunch(PowerSyncDatabase db, SnapshotSource source, Course course, Record record, CancellationToken cancel)
        {
            this.db = db;
            this.source = source;
            this.course = course;
            this.record = record;
            this.cancel = cancel;
        }

        private sealed class ValueRow
        {
            public string value = "";
        }

        /// <summary>Brings the first sync into the open database, if it has none; the answer says why it is not there.</summary>
        public async Task<SeedbedException> Run()
        {
            try
            {
                await RequireOwn().ConfigureAwait(false);
                var device = await Device.Read(db).ConfigureAwait(false);
                if (device.Writes || device.Synced)
                {
                    course.End(Result.Kept, device.Writes ? Reason.LocalWrites : Reason.Synced);
                    return null;
                }
                return await Patiently(device).ConfigureAwait(false);
            }
            catch (SeedbedException error)
            {
                course.End(Result.Failed, error.Code);
                throw;
            }
            finally
            {
                course.Enter(null);
            }
        }

        private async Task RequireOwn()
        {
            var row = await db.GetOptional<ValueRow>("SELECT value FROM ps_kv WHERE key = ?", new object[] { Record.Key }).ConfigureAwait(false);
            var its = row == null ? null : Record.Of(Snapshot.Json.Parse(row.value));
            if (its == null || its.IsSameStore(record)) return;
            throw new SeedbedException(Reason.WrongStore, "the database is of store " + its.Store + ": give each store and account a file name of its own");
        }

        private async Task<SeedbedException> Patiently(Device device)
        {
            var wait = TimeSpan.FromTicks(source.SilenceLimit.Ticks / 6);
            var longest = source.SilenceLimit + source.SilenceLimit;
            while (true)
            {
                SeedbedException known;
                try
                {
                    await Take(device).ConfigureAwait(false);
                    course.Outcome.Form = SnapshotForm.Stream;
                    course.End(Result.Installed);
                    return null;
                }
                catch (Exception error) when (!cancel.IsCancellationRequested)
                {
                    known = SeedbedException.Of(error, Reason.Cut, "no stream");
                }
                if (source.WhenUnavailable == WhenUnavailable.Sync)
                {
                    // Positions that have arrived stay: `Connect` goes on with them.
                    course.End(Result.Sync, known.Code);
                    return known;
                }
                if (source.WhenUnavailable == WhenUnavailable.Fail || Reason.Lasts(known.Code)) throw known;
                course.Enter(Stage.Waiting);
                await Task.Delay(wait, cancel).ConfigureAwait(false);
                wait = wait + wait < longest ? wait + wait : longest;
                device = await Device.Read(db).ConfigureAwait(false);
            }
        }

        private async Task Take(Device device)
        {
            course.Enter(Stage.Waiting);
            if (source.Subscribe != null) await source.Subscribe(db).ConfigureAwait(false);
            string token;
            try
            {
                token = await source.GetToken().ConfigureAwait(false);
            }
            catch (Exception error)
            {
                throw SeedbedException.Of(error, Reason.NoToken, "the app has no token");
            }
            var start = await Start.Ask(source.Http, source.Url, source.StoreId, token, device.Generation, source.SilenceLimit, cancel).ConfigureAwait(false);
            if (start.Endpoint == null) throw new SeedbedException(start.Code, "Seedbed has no stream for the device: " + start.Why);
            course.Enter(Stage.Downloading);
            using (var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel))
            using (new Watch(db, source.SilenceLimit, (done, total) => course.Tell(done, total), () => Ended(ending)))
            {
                try
                {
                    var pause = (int)(source.SilenceLimit.TotalMilliseconds / Pauses);
                    await db.Connect(new Once(start.Endpoint, source, () => ending.Cancel()), new PowerSyncConnectionOptions(retryDelayMs: pause)).ConfigureAwait(false);
                    await FirstSync(ending.Token).ConfigureAwait(false);
                }
                finally
                {
                    await db.Disconnect().ConfigureAwait(false);
                }
            }
        }

        private static Task Ended(CancellationTokenSource ending)
        {
            ending.Cancel();
            return Task.CompletedTask;
        }

        private async Task FirstSync(CancellationToken ending)
        {
            while (db.CurrentStatus.HasSynced != true)
            {
                cancel.ThrowIfCancellationRequested();
                if (ending.IsCancellationRequested) throw new SeedbedException(Reason.Stalled, "the stream brought nothing, or was refused");
                await Task.Delay(20).ConfigureAwait(false);
            }
        }

        /// <summary>The SDK asks again when it was refused: then there is nothing more from Seedbed.</summary>
        private sealed class Once : IPowerSyncBackendConnector
        {
            private readonly string endpoint;
            private readonly SnapshotSource source;
            private readonly Action again;
            private int asked;

            public Once(string endpoint, SnapshotSource source, Action again)
            {
                this.endpoint = endpoint;
                this.source = source;
                this.again = again;
            }

            public async Task<PowerSyncCredentials> FetchCredentials()
            {
                if (++asked > 1) again();
                return new PowerSyncCredentials(endpoint, await source.GetToken().ConfigureAwait(false));
            }

            /// <summary>Nobody has the database yet; what there is stays for the app's own connector.</summary>
            public Task UploadData(IPowerSyncDatabase database)
            {
                throw new InvalidOperationException("the first sync is not over");
            }
        }
    }
}
