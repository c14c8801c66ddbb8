using CsCheck;
using ModelServe.Execution.Kernels;
using Xunit;

namespace ModelServe.Execution.Tests.Kernels;

public sealed class GraphBucketsTests
{
    private static readonly Gen<int> RowCounts = Gen.Int[1, 600];

    [Fact]
    public void A_bucket_holds_its_batch_and_is_its_own_bucket() => RowCounts.Sample(rows =>
    {
        var bucket = GraphBuckets.For(rows);
        Assert.InRange(rows, 1, bucket);
        Assert.Equal(bucket, GraphBuckets.For(bucket));
    });

    [Fact]
    public void Larger_batches_never_get_smaller_buckets() =>
        RowCounts.Sample(rows => Assert.True(GraphBuckets.For(rows) <= GraphBuckets.For(rows + 1)));

    [Fact]
    public void The_list_holds_every_bucket_once() => RowCounts.Sample(rows =>
    {
        var expected = Enumerable.Range(1, rows).Select(GraphBuckets.For).Distinct();
        Assert.Equal(expected, GraphBuckets.UpTo(rows));
    });

    [Fact]
    public void No_rows_have_no_bucket() => Assert.Throws<ArgumentOutOfRangeException>(() => GraphBuckets.For(0));
}
