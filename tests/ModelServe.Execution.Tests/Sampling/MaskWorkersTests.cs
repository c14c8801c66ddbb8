using ModelServe.Engine.Admission;
using ModelServe.Execution.Sampling;
using Xunit;

namespace ModelServe.Execution.Tests.Sampling;

/// <summary>Masks are made by a few threads, and costly ones do not keep cheap ones waiting.</summary>
public sealed class MaskWorkersTests
{
    [Fact]
    public void Long_work_does_not_keep_short_work_waiting()
    {
        using var workers = new MaskWorkers(2);
        using var gate = new ManualResetEventSlim();
        MaskOrder[] costly = [.. Enumerable.Range(0, 5).Select(_ => new MaskOrder(new Work(gate.Wait)))];
        // So much output is long work before anything was measured.
        Array.ForEach(costly, order => order.Begin(new int[1000], workers));
        for (var i = 0; i < 20; i++)
        {
            using var done = new ManualResetEventSlim();
            var order = new MaskOrder(new Work(done.Set));
            order.Begin(default, workers);
            Assert.True(done.Wait(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        }

        Assert.All(costly, order => Assert.False(order.IsReady));
        gate.Set();
        SpinWait.SpinUntil(() => costly.All(order => order.IsReady));
    }

    [Fact]
    public void Orders_are_made_once_each_by_any_number_of_threads()
    {
        using var workers = new MaskWorkers(4);
        var made = 0;
        MaskOrder[] orders = [.. Enumerable.Range(0, 500).Select(_ => new MaskOrder(new Work(() => Interlocked.Increment(ref made))))];
        Array.ForEach(orders, order => order.Begin(default, workers));
        SpinWait.SpinUntil(() => orders.All(order => order.IsReady));
        Assert.Equal(500, made);
    }

    [Fact]
    public void An_order_after_the_end_is_refused()
    {
        var workers = new MaskWorkers(2);
        workers.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new MaskOrder(new Work(() => { })).Begin(default, workers));
    }

    [Fact]
    public void A_token_that_a_look_up_takes_makes_no_order()
    {
        using var workers = new MaskWorkers(2);
        var order = new MaskOrder(new Work(() => { }, knows: 7));
        order.Begin(default, null);
        order.Advance(7, workers);
        Assert.True(order.IsReady);
    }

    private sealed class Work(Action work, int knows = -1) : ITokenConstraintFollower
    {
        public string? Failure => null;

        public void Follow(ReadOnlySpan<int> tokenIds) => work();

        public bool TryFollow(int tokenId) => tokenId == knows;

        public bool FillMask(Span<uint> allowed) => true;
    }
}
