using ModelServe.Execution.Kernels;
using Xunit;

namespace ModelServe.Execution.Tests.Kernels;

public sealed unsafe class KernelGraphTests(StubLibrary stub)
{
    [Fact]
    public void A_captured_op_runs_only_when_its_graph_is_launched()
    {
        Skip();
        using var gather = new GatherStep();
        using var graph = gather.Stream.Capture(gather.Submit);
        Assert.Equal(new ushort[8], gather.Out.Read());
        graph.Launch(gather.Stream);
        gather.Stream.Synchronize();
        Assert.Equal(GatherStep.Row(1), gather.Out.Read());
    }

    [Fact]
    public void A_replay_reads_what_the_buffers_hold_at_that_moment()
    {
        Skip();
        using var gather = new GatherStep();
        using var graph = gather.Stream.Capture(gather.Submit);
        gather.Index.Write(2);
        graph.Launch(gather.Stream);
        gather.Stream.Synchronize();
        Assert.Equal(GatherStep.Row(2), gather.Out.Read());
    }

    [Fact]
    public void A_replay_equals_the_eager_call()
    {
        Skip();
        using var gather = new GatherStep();
        gather.Submit();
        var eager = gather.Out.Read();
        gather.Out.Write(new ushort[8]);
        using var graph = gather.Stream.Capture(gather.Submit);
        graph.Launch(gather.Stream);
        gather.Stream.Synchronize();
        Assert.Equal(eager, gather.Out.Read());
    }

    [Fact]
    public void A_padded_row_of_a_graph_is_not_written()
    {
        Skip();
        using var gather = new GatherStep();
        using var graph = gather.Stream.Capture(gather.Submit);
        gather.Count.Write(0);
        graph.Launch(gather.Stream);
        gather.Stream.Synchronize();
        Assert.Equal(new ushort[8], gather.Out.Read());
    }

    [Fact]
    public void A_capture_whose_body_throws_leaves_the_stream_usable()
    {
        Skip();
        using var gather = new GatherStep();
        Assert.Throws<InvalidOperationException>(() => gather.Stream.Capture(() => throw new InvalidOperationException()));
        gather.Submit();
        gather.Stream.Synchronize();
        Assert.Equal(GatherStep.Row(1), gather.Out.Read());
    }

    [Fact]
    public void A_second_capture_on_a_capturing_stream_is_refused()
    {
        Skip();
        using var gather = new GatherStep();
        var refusal = Assert.Throws<KernelException>(() => gather.Stream.Capture(() => gather.Stream.Capture(gather.Submit)));
        Assert.Equal(KernelStatus.WrongState, refusal.Status);
    }

    [Fact]
    public void An_event_passes_after_the_work_before_it()
    {
        Skip();
        using var gather = new GatherStep();
        using var before = new KernelEvent(gather.Device, timing: true);
        using var after = new KernelEvent(gather.Device, timing: true);
        before.Record(gather.Stream);
        gather.Submit();
        after.Record(gather.Stream);
        after.Synchronize();
        Assert.True(after.HasPassed);
        Assert.True(before.MillisecondsTo(after) >= 0);
    }

    private void Skip() => Assert.SkipWhen(stub.WhyMissing is not null, stub.WhyMissing ?? string.Empty);

    /// <summary>One gather of one row of eight: the smallest op with an input, an output and a counter.</summary>
    private sealed class GatherStep : IDisposable
    {
        public GatherStep()
        {
            Device = new KernelDevice(0);
            Stream = new KernelStream(Device);
            _source = new DeviceArray<ushort>(Device, [.. Row(0), .. Row(1), .. Row(2)]);
            Out = new DeviceArray<ushort>(Device, new ushort[8]);
            Index = new DeviceArray<int>(Device, 1);
            Count = new DeviceArray<int>(Device, 1);
        }

        private readonly DeviceArray<ushort> _source;

        public KernelDevice Device { get; }

        public KernelStream Stream { get; }

        public DeviceArray<ushort> Out { get; }

        public DeviceArray<int> Index { get; }

        public DeviceArray<int> Count { get; }

        public static ushort[] Row(int row) => [.. Enumerable.Range(10 * row, 8).Select(value => (ushort)value)];

        public void Submit()
        {
            var arguments = GatherRowsArguments.Create();
            arguments.NRows = 1;
            arguments.Columns = 8;
            arguments.Count = Count.Pointer;
            arguments.Index = Index.Pointer;
            arguments.X = _source.Pointer;
            arguments.Out = Out.Pointer;
            new KernelLauncher(Device, Stream).GatherRows(arguments);
        }

        public void Dispose()
        {
            _source.Dispose();
            Out.Dispose();
            Index.Dispose();
            Count.Dispose();
            Stream.Dispose();
            Device.Dispose();
        }
    }
}
