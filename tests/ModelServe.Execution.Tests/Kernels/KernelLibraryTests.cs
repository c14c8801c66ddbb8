using ModelServe.Execution.Kernels;
using Xunit;

namespace ModelServe.Execution.Tests.Kernels;

public sealed class KernelLibraryTests(StubLibrary stub)
{
    [Fact]
    public void Every_struct_has_the_size_that_the_library_was_built_with()
    {
        Skip();
        Assert.All(KernelLibrary.Structs(), entry => Assert.Equal(entry.Size, (int)NativeMethods.ms_sizeof(entry.Kind)));
        Assert.Equal(0u, NativeMethods.ms_sizeof(20));
    }

    [Fact]
    public void A_file_that_is_no_library_is_refused_by_name()
    {
        var refusal = Assert.Throws<KernelException>(() => KernelLibrary.Load("/nowhere/libmodelserve.so"));
        Assert.Equal(KernelStatus.LibraryMissing, refusal.Status);
        Assert.Contains("/nowhere/libmodelserve.so", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_that_does_not_exist_is_refused()
    {
        Skip();
        var refusal = Assert.Throws<KernelException>(() => new KernelDevice(7));
        Assert.Equal(KernelStatus.InvalidArgument, refusal.Status);
    }

    [Fact]
    public void A_refused_argument_names_field_limit_and_value()
    {
        Skip();
        using var device = new KernelDevice(0);
        using var stream = new KernelStream(device);
        var arguments = EmbedArguments.Create();
        arguments.NTokens = 1;
        arguments.Hidden = 12;
        var refusal = Assert.Throws<KernelException>(() => new KernelLauncher(device, stream).Embed(arguments));
        Assert.Contains("hidden must be a multiple of 8, is 12", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Arguments_of_another_size_are_refused_as_another_abi()
    {
        Skip();
        using var device = new KernelDevice(0);
        using var stream = new KernelStream(device);
        var refusal = Assert.Throws<KernelException>(() => new KernelLauncher(device, stream).Embed(default));
        Assert.Equal(KernelStatus.AbiMismatch, refusal.Status);
    }

    [Fact]
    public void The_stub_says_that_it_is_no_gpu()
    {
        Skip();
        using var device = new KernelDevice(0);
        Assert.Equal(1, device.Info().IsEmulated);
    }

    private void Skip() => Assert.SkipWhen(stub.WhyMissing is not null, stub.WhyMissing ?? string.Empty);
}
