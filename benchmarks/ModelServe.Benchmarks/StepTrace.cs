using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using ModelServe.Engine.Planning;
using ModelServe.Engine.Running;

namespace ModelServe.Benchmarks;

/// <summary>Runs the steps of an executor and notes of each what was planned, what it was expected to take and what it took.</summary>
/// <remarks>Notes are kept in memory taken at the start. What a thread waited for a processor is Linux's own count; -1 where it keeps none.</remarks>
/// <param name="inner">Runs the steps; stays the caller's.</param>
/// <param name="most">Steps that are noted; the rest run without.</param>
internal sealed class StepTrace(IStepExecutor inner, int most) : IStepExecutor
{
    private static readonly string[] Computing = ["modelserve engi", "compute 1"];

    private readonly Note[] _notes = new Note[most];
    private readonly SafeFileHandle?[] _waits = new SafeFileHandle?[Computing.Length];
    private int _count;
    private long _submitted;
    private long _collected;
    private StepShape _shape;
    private Note _note;

    /// <summary>What the planner expects steps to take.</summary>
    public StepTimes? Times { get; set; }

    /// <inheritdoc/>
    public ExecutorGeometry Geometry => inner.Geometry;

    /// <inheritdoc/>
    public int Depth => inner.Depth;

    /// <summary>Forgets what was noted, and looks for the computing threads, which must have begun.</summary>
    public void Begin()
    {
        _count = 0;
        for (int i = 0; i < Computing.Length && Directory.Exists("/proc/self/task"); i++)
        {
            string? task = Directory.EnumerateDirectories("/proc/self/task").LastOrDefault(path => File.ReadAllText(Path.Combine(path, "comm")).TrimEnd() == Computing[i]);
            _waits[i] = task is null ? null : File.OpenHandle(Path.Combine(task, "schedstat"));
        }
    }

    /// <inheritdoc/>
    public void Submit(StepPlan plan)
    {
        _shape = StepShape.Of(plan);
        _note = new Note
        {
            Shape = _shape,
            Entering = plan.NewSlotCount,
            Expected = Times?.Milliseconds(_shape) ?? 0,
            Plain = Times?.Milliseconds(StepShape.Generating(_shape.Rows - _shape.PromptTokens, _shape.Attended)) ?? 0,
            EngineWaited = Waited(0),
            WorkerWaited = Waited(1),
            Collections = GC.CollectionCount(0),
        };
        _submitted = Stopwatch.GetTimestamp();
        _note.Between = _collected == 0 ? 0 : Stopwatch.GetElapsedTime(_collected, _submitted).TotalMilliseconds;
        inner.Submit(plan);
    }

    /// <inheritdoc/>
    public StepResult Collect()
    {
        StepResult result = inner.Collect();
        _collected = Stopwatch.GetTimestamp();
        if (_count < _notes.Length)
        {
            _note.Took = Stopwatch.GetElapsedTime(_submitted, _collected).TotalMilliseconds;
            _note.EngineWaited = Waited(0) - _note.EngineWaited;
            _note.WorkerWaited = Waited(1) - _note.WorkerWaited;
            _note.Collections = GC.CollectionCount(0) - _note.Collections;
            _notes[_count++] = _note;
        }

        return result;
    }

    /// <summary>Writes the notes as comma-separated lines, milliseconds.</summary>
    public void Write(TextWriter writer)
    {
        writer.WriteLine("took,expected,plain,between,rows,prompt,sampled,attended,pairs,entering,engine_waited,worker_waited,collections");
        foreach (Note note in _notes.AsSpan(0, _count))
        {
            writer.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{note.Took:0.000},{note.Expected:0.000},{note.Plain:0.000},{note.Between:0.000},{note.Shape.Rows},{note.Shape.PromptTokens},{note.Shape.Sampled},{note.Shape.Attended},{note.Shape.PromptPairs},{note.Entering},{note.EngineWaited:0.000},{note.WorkerWaited:0.000},{note.Collections}"));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafeFileHandle? wait in _waits)
        {
            wait?.Dispose();
        }
    }

    // Nanoseconds on a processor, nanoseconds waiting for one, turns.
    private double Waited(int thread)
    {
        if (_waits[thread] is not { } file)
        {
            return -1;
        }

        Span<byte> text = stackalloc byte[96];
        text = text[..RandomAccess.Read(file, text, 0)];
        Span<byte> rest = text[(text.IndexOf((byte)' ') + 1)..];
        return double.Parse(rest[..rest.IndexOf((byte)' ')], CultureInfo.InvariantCulture) * 1e-6;
    }

    private record struct Note
    {
        public StepShape Shape;
        public int Entering;
        public double Expected;
        public double Plain;
        public double Took;
        public double Between;
        public double EngineWaited;
        public double WorkerWaited;
        public int Collections;
    }
}
