using System;
using System.Threading;
using System.Threading.Tasks;
using PowerSync.Common.Client;

namespace Seedbed.Client.Streaming
{
    /// <summary>
    /// SDKs keep their credentials until the server refuses them, so one that cannot reach Seedbed's stream would try it for ever. This
    /// says so, when a connection has brought nothing for the silence limit.
    /// </summary>
    internal sealed class Watch : IDisposable
    {
        private readonly CancellationTokenSource ended = new CancellationTokenSource();

        /// <param name="db">The SDK's database.</param>
        /// <param name="silenceLimit">Without a new operation. When all have arrived they are applied, and that says nothing for as long as it takes.</param>
        /// <param name="onOperations">How many have arrived, of how many.</param>
        /// <param name="giveUp">Called once, unless it is disposed of before.</param>
        public Watch(PowerSyncDatabase db, TimeSpan silenceLimit, Action<int, int> onOperations, Func<Task> giveUp)
        {
            Task.Run(async () =>
            {
                var look = TimeSpan.FromTicks(silenceLimit.Ticks / 30);
                var before = db.CurrentStatus.LastSyncedAt;
                var most = 0;
                var last = DateTime.UtcNow;
                while (DateTime.UtcNow - last < silenceLimit)
                {
                    await Task.Delay(look, ended.Token).ConfigureAwait(false);
                    // None is known before a checkpoint.
                    var progress = db.CurrentStatus.DownloadProgress();
                    var downloaded = progress?.DownloadedOperations ?? 0;
                    var total = progress?.TotalOperations ?? int.MaxValue;
                    if (db.CurrentStatus.LastSyncedAt != before) return;
                    if (downloaded > most || downloaded >= total) last = DateTime.UtcNow;
                    if (downloaded > most) onOperations?.Invoke(downloaded, total);
                    most = Math.Max(most, downloaded);
                }
                ended.Token.ThrowIfCancellationRequested();
                await giveUp().ConfigureAwait(false);
            });
        }

        public void Dispose()
        {
            ended.Cancel();
        }
    }
}
