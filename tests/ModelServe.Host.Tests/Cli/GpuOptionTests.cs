using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>What the command line says about GPUs on a machine that has none.</summary>
public sealed class GpuOptionTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("run")]
    [InlineData("serve")]
    public async Task A_device_without_its_library_is_refused_by_name(string command)
    {
        string[] arguments = command == "run" ? ["run", "--device", "cuda", "hello"] : ["serve", "--device", "cuda:1", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        (int code, string output, string errors) = await ModelServeProcess.RunAsync(Cancellation, arguments);
        Assert.Equal(1, code);
        Assert.Equal("", output);
        Assert.Contains($"modelserve: device {(command == "run" ? "cuda" : "cuda:1")}: needs the library of the GPU kernels; there is no ", errors, StringComparison.Ordinal);
        Assert.Single(errors.Trim().Split('\n'));
    }

    [Fact]
    public async Task A_library_that_is_none_is_refused_by_name()
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "run", "--device", "cuda", "--kernel-library", "/etc/hostname", "hello");
        Assert.Equal(1, code);
        Assert.Contains("/etc/hostname does not load as a shared library", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_library_is_refused_by_name()
    {
        string other = Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "libclrjit.so");
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "run", "--device", "cuda", "--kernel-library", other, "hello");
        Assert.Equal(1, code);
        Assert.Contains("libclrjit.so is not the library of the kernels", errors, StringComparison.Ordinal);
        Assert.Single(errors.Trim().Split('\n'));
    }

    [Theory]
    [InlineData("--kv-dtype: only --device cuda can use fp8", "--kv-dtype", "fp8")]
    [InlineData("--gpu-memory-utilization: only --device cuda can use it", "--gpu-memory-utilization", "0.5")]
    [InlineData("--deterministic: only --device cuda can use it", "--deterministic")]
    [InlineData("--kernel-library: only --device cuda can use it", "--kernel-library", "x.so")]
    [InlineData("--kv-dtype: int8 is for the CPU only; got --device cuda", "--kv-dtype", "int8", "--device", "cuda")]
    [InlineData("--kv-dtype: expected auto, bf16, fp8 or int8; got 'int4'", "--kv-dtype", "int4", "--device", "cuda")]
    [InlineData("--gpu-memory-utilization: expected 0.01..1; got 1.2", "--gpu-memory-utilization", "1.2", "--device", "cuda")]
    [InlineData("--device: expected auto, cpu, cuda or cuda:N; got 'cuda:0,cuda:1'", "--device", "cuda:0,cuda:1")]
    [InlineData("--quantize: int8 is for the CPU, fp8 for a GPU; got --device cuda", "--quantize", "int8", "--device", "cuda")]
    public async Task An_option_that_a_device_cannot_use_is_refused(string message, params string[] options)
    {
        (int code, string output, string errors) = await ModelServeProcess.RunAsync(Cancellation, ["run", .. options, "hello"]);
        Assert.NotEqual(0, code);
        Assert.Contains(message, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors + output, StringComparison.Ordinal);
    }
}
