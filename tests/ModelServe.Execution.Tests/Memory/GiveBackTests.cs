using ModelServe.Execution.Memory;
using Xunit;

namespace ModelServe.Execution.Tests.Memory;

/// <summary>What remains of a buffer whose end was given back.</summary>
public sealed unsafe class GiveBackTests
{
    [Fact]
    public void Whole_pages_beyond_the_end_go_and_what_is_before_stays()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux");
        const long Page = 2 << 20;
        using var buffer = new NativeBuffer((4 * Page) - 100);
        new Span<byte>(buffer.Pointer, (int)buffer.Bytes).Fill(7);
        Assert.Equal(3 * Page, buffer.GiveBackBeyond(Page - 5));
        Assert.Equal(0, new Span<byte>(buffer.Pointer, (int)Page).IndexOfAnyExcept((byte)7) + 1);
        Assert.Equal(0, buffer.Pointer[Page]);
        buffer.Pointer[Page] = 9;
        Assert.Equal(9, buffer.Pointer[Page]);
    }

    [Fact]
    public void A_small_buffer_keeps_all()
    {
        using var buffer = new NativeBuffer(1 << 20);
        new Span<byte>(buffer.Pointer, (int)buffer.Bytes).Fill(7);
        Assert.Equal(0, buffer.GiveBackBeyond(1));
        Assert.Equal(-1, new Span<byte>(buffer.Pointer, (int)buffer.Bytes).IndexOfAnyExcept((byte)7));
    }

    [Fact]
    public void More_than_there_is_cannot_be_kept()
    {
        using var buffer = new NativeBuffer(100);
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.GiveBackBeyond(101));
    }
}
