using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Vectors;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Vectors;

/// <summary>Vector conversions against the scalar ones.</summary>
public sealed unsafe class BFloatLanesTests
{
    [Fact]
    public void Rounding_agrees_with_the_scalar_rule_for_every_upper_half_and_tie()
    {
        var target = stackalloc ushort[16];
        for (var upper = 0u; upper <= 0xFFFF; upper++)
        {
            var bits = Vector512.Create(upper << 16) |
                Vector512.Create(0u, 1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu, 0x4000u, 0xC000u, 2, 3, 4, 5, 6, 7, 8, 9);
            BFloatLanes.Store(bits.AsSingle(), target);
            for (var lane = 0; lane < 16; lane++)
            {
                if (BFloat.FromSingle(BitConverter.UInt32BitsToSingle(bits[lane])) != target[lane])
                {
                    Assert.Fail($"bits {bits[lane]:X8} became {target[lane]:X4}");
                }
            }
        }
    }

    [Fact]
    public void Widening_is_exact_for_every_value()
    {
        var source = stackalloc ushort[16];
        for (var first = 0; first <= 0xFFFF; first += 16)
        {
            for (var lane = 0; lane < 16; lane++)
            {
                source[lane] = (ushort)(first + lane);
            }

            var wide = BFloatLanes.Load(source).AsUInt32();
            for (var lane = 0; lane < 16; lane++)
            {
                Assert.Equal((uint)(first + lane) << 16, wide[lane]);
            }
        }
    }
}
