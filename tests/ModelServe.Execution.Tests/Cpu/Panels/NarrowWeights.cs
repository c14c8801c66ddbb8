using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Panels;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Panels;

/// <summary>Bits of bfloat16 weights whose exponents are as a test wants them, and operations that keep them in 12 or in 16 bits.</summary>
internal static unsafe class NarrowWeights
{
    /// <summary>Rows whose exponents lie within 16 of the row's largest, which is a random one.</summary>
    public static ushort[] Within(Random random, int rows, int columns)
    {
        var bits = new ushort[rows * columns];
        for (var row = 0; row < rows; row++)
        {
            var top = random.Next(115, 131);
            for (var column = 0; column < columns; column++)
            {
                var exponent = column == 0 ? top : top - random.Next(16);
                bits[(row * columns) + column] = (ushort)((random.Next(2) << 15) | (exponent << 7) | random.Next(128));
            }
        }

        return bits;
    }

    /// <summary>The same with some weights of each panel anywhere else: zeros of both signs, denormal and tiny numbers, and far larger ones.</summary>
    public static ushort[] WithExceptions(Random random, int rows, int columns, int perPanel)
    {
        var bits = Within(random, rows, columns);
        for (var panel = 0; panel < rows / PanelProduct.PanelRows; panel++)
        {
            for (var i = 0; i < perPanel; i++)
            {
                ushort[] others = [0, 0x8000, (ushort)random.Next(1, 0x80), (ushort)(0x8000 | (random.Next(1, 60) << 7) | 5), (ushort)((random.Next(133, 138) << 7) | 77)];
                bits[(((panel * PanelProduct.PanelRows) + random.Next(PanelProduct.PanelRows)) * columns) + random.Next(columns)] = others[random.Next(others.Length)];
            }
        }

        return bits;
    }

    /// <summary>Operations with the native kernels; skips the test where they cannot run.</summary>
    public static CpuOps Ops(int maxRows, int columns, int threads, bool narrow)
    {
        Assert.SkipUnless(
            NativeCpu.Load().HasFlag(NativeCpuFeatures.Avx512BFloat16), "needs the native CPU library and a processor with AVX-512 BF16");
        return new CpuOps(
            new OpsShape(maxRows, maxRows, 16, columns, 16, 16, new AttentionShape(1, 1, 16, 1f, 0)), threads, NativeCpuFeatures.Avx512BFloat16, narrow: narrow);
    }

    /// <summary>A row-major weight of these bits.</summary>
    public static WeightMatrix Weight(NativeFloats memory, ushort[] bits, int rows, int columns, float[]? bias = null)
    {
        var weight = memory.Weight(new float[bits.Length], ElementType.BFloat16, rows, columns, bias is null ? null : memory.Vector(bias));
        bits.CopyTo(new Span<ushort>(weight.Data, bits.Length));
        return weight;
    }

    /// <summary>One row of a packed weight, as the embedding reads it.</summary>
    public static float[] Row(WeightMatrix weight, int row)
    {
        var output = new float[weight.Columns];
        fixed (float* target = output)
        {
            if (weight.Layout == WeightLayout.NarrowPanels)
            {
                NativePanelMethods.ms_cpu_bf16_narrow_row((ushort*)weight.Data, weight.Columns, weight.HeadLines, row, target);
            }
            else
            {
                NativePanelMethods.ms_cpu_bf16_row((ushort*)weight.Data, weight.Rows, weight.Columns, row, target);
            }
        }

        return output;
    }
}
