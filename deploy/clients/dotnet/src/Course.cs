using System;
using System.Collections.Generic;
using System.Diagnostics;

namespace Seedbed.Client
{
    /// <summary>What an app and a report are told about a launch: the stage it is in, and what has come of it.</summary>
    internal sealed class Course
    {
        private readonly Action<Progress> onProgress;
        private readonly Stopwatch since = new Stopwatch();
        private readonly Dictionary<Stage, double> seconds = new Dictionary<Stage, double>();
        private Stage? stage;

        public Outcome Outcome { get; }

        public Course(Action<Progress> onProgress)
        {
            this.onProgress = onProgress;
            Outcome = new Outcome { Result = Result.Kept, Seconds = seconds };
        }

        /// <summary>A launch that has ended so.</summary>
        public void End(Result result, string reason = null)
        {
            Outcome.Result = result;
            Outcome.Reason = reason;
        }

        /// <summary>The next stage; null when the launch ends.</summary>
        public void Enter(Stage? next, long bytes = 0, long? total = null)
        {
            if (stage != null)
            {
                seconds.TryGetValue(stage.Value, out var before);
                seconds[stage.Value] = before + since.Elapsed.TotalSeconds;
            }
            stage = next;
            since.Restart();
            Tell(bytes, total);
        }

        public void Tell(long bytes, long? total)
        {
            if (stage != null) onProgress?.Invoke(new Progress { Stage = stage.Value, Bytes = bytes, Total = total });
        }
    }
}
