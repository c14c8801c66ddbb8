using ModelServe.Execution.Cpu;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu;

/// <summary>A product's rows, each alone, are those of any number of rows together, bit for bit; and no row beyond them is written.</summary>
internal static unsafe class RowIndependence
{
    /// <summary>Checks 1 to <paramref name="most"/> rows.</summary>
    /// <param name="alone">Multiplies one row at a time.</param>
    /// <param name="shared">Multiplies them together.</param>
    /// <param name="x">[most, columns].</param>
    /// <param name="weight">As both take it.</param>
    /// <param name="most">Rows.</param>
    public static void Check(CpuOps alone, CpuOps shared, float[] x, WeightMatrix weight, int most)
    {
        var (rows, columns) = (weight.Rows, weight.Columns);
        using var memory = new NativeFloats();
        var expected = memory.Empty(most, rows);
        for (var row = 0; row < most; row++)
        {
            var single = memory.Activation(x[(row * columns)..((row + 1) * columns)], 1, columns);
            alone.Linear(single, weight, new Activation(expected.Data + (row * rows), 1, rows), 1);
        }

        var input = memory.Activation(x, most, columns);
        for (var count = 1; count <= most; count++)
        {
            var y = memory.Empty(most, rows);
            shared.Linear(input, weight, y, count);
            for (var row = 0; row < count; row++)
            {
                Assert.True(expected.Row(row).SequenceEqual(y.Row(row)), $"row {row} of {count}");
            }

            Assert.True(count == most || float.IsNaN(y.Row(count)[0]), $"row {count} was written");
        }
    }
}
