using ModelServe.Execution.Native;
using Xunit;

namespace ModelServe.Execution.Tests.Native;

/// <summary>A missing libtorch is explained, not suffered.</summary>
public sealed class NativeTorchTests
{
    [Fact]
    public void A_named_folder_without_libtorch_is_named_in_the_message()
    {
        using var folder = new TemporaryFolder();
        var refusal = Assert.Throws<NativeTorchException>(() => NativeTorch.FindFolder(folder.Path, AppContext.BaseDirectory));
        Assert.Contains(folder.Path, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("TORCH_LIB_DIR", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_named_folder_the_message_says_what_to_do()
    {
        using var folder = new TemporaryFolder();
        var refusal = Assert.Throws<NativeTorchException>(() => NativeTorch.FindFolder(null, folder.Path));
        Assert.Contains("runtimes", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("Accelerator=cpu", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_beside_the_program_is_found()
    {
        using var folder = new TemporaryFolder();
        var native = Directory.CreateDirectory(Path.Combine(folder.Path, "runtimes", "linux-x64", "native"));
        File.WriteAllText(Path.Combine(native.FullName, "libtorch_cpu.so"), "");
        Assert.Equal(native.FullName, NativeTorch.FindFolder(null, folder.Path));
    }

    [Fact]
    public void A_program_without_libtorch_has_none_and_a_named_one_is_there_until_it_is_looked_for()
    {
        using var folder = new TemporaryFolder();
        Assert.False(NativeTorch.IsThere(null, folder.Path));
        Assert.True(NativeTorch.IsThere(folder.Path, folder.Path));
        File.WriteAllText(Path.Combine(folder.Path, "libtorch_cpu.so"), "");
        Assert.True(NativeTorch.IsThere(null, folder.Path));
    }

    [Fact]
    public void Loading_twice_is_loading_once() => Assert.Same(NativeTorch.EnsureLoaded(), NativeTorch.EnsureLoaded());
}
