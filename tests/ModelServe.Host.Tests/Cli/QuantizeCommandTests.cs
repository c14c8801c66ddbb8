using System.Runtime.Versioning;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary><c>--quantize</c> and its companions as a user types them.</summary>
[SupportedOSPlatform("linux")]
public sealed class QuantizeCommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("modelserve-quantize-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("int8")]
    [InlineData("int4")]
    public async Task Run_answers_from_quantised_weights_and_the_second_time_from_the_cache(string format)
    {
        string cache = Path.Combine(_folder.FullName, "cache");
        foreach (string how in new[] { "on load", "from the cache" })
        {
            (int code, string output, string errors) = await ModelServeProcess.RunAsync(
                Cancellation, "run", "--quantize", format, "--cache-dir", cache, "What is 27 + 58?");
            Assert.True(code == 0, errors);
            Assert.Equal("85\n", output);
            Assert.Contains($"tensors quantised {how}: {format}", errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Inspect_shows_what_quantised_weights_would_take()
    {
        (int code, string output, _) = await ModelServeProcess.RunAsync(Cancellation, "inspect", "tiny-mini", "--quantize", "int4", "--quantize-head", "none");
        Assert.Equal(0, code);
        Assert.Contains("int4, head not quantised, others bfloat16", output, StringComparison.Ordinal);
        Assert.Contains("while loading", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--quantize: expected none, int8, int4 or fp8; got 'int2'", "--quantize", "int2")]
    [InlineData("--quantize-head: expected auto, int8, int4 or none; got 'fp8'", "--quantize", "int8", "--quantize-head", "fp8")]
    [InlineData("--quantize-head: only --quantize", "--quantize-head", "int8")]
    [InlineData("--cache-dir: only --quantize", "--cache-dir", "x")]
    [InlineData("--cache-max: only --quantize", "--cache-max", "1GiB")]
    [InlineData("--cache-max: expected a size such as 512MiB or 4GiB; got 'many'", "--quantize", "int8", "--cache-max", "many")]
    [InlineData("--cache-dir: expected a folder or none; got ' '", "--quantize", "int8", "--cache-dir", " ")]
    [InlineData("--quantize: fp8 is for a GPU, int8 and int4 for the CPU; got --device auto", "--quantize", "fp8")]
    [InlineData("--quantize: fp8 is for a GPU, int8 and int4 for the CPU; got --device cpu", "--quantize", "fp8", "--device", "cpu")]
    [InlineData("--quantize-head: only --quantize", "--quantize", "fp8", "--device", "cuda", "--quantize-head", "int8")]
    [InlineData("--quantize: int8 is for the CPU, fp8 for a GPU; got --device cuda:1", "--quantize", "int8", "--device", "cuda:1")]
    public async Task What_cannot_be_is_refused_by_name(string message, params string[] options)
    {
        (int code, string output, string errors) = await ModelServeProcess.RunAsync(Cancellation, ["run", .. options, "hello"]);
        Assert.NotEqual(0, code);
        Assert.Contains(message, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors + output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cache_folder_that_others_may_write_is_one_line_on_standard_error()
    {
        File.SetUnixFileMode(_folder.FullName, File.GetUnixFileMode(_folder.FullName) | UnixFileMode.OtherWrite);
        (int code, string output, string errors) = await ModelServeProcess.RunAsync(
            Cancellation, "run", "--quantize", "int8", "--cache-dir", _folder.FullName, "hello");
        Assert.Equal(1, code);
        Assert.Equal("", output);
        Assert.Contains("only its owner may write", errors, StringComparison.Ordinal);
        Assert.Single(errors.Trim().Split('\n'));
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
